"""The audit call."""

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.audit.entries import Action
from gateway.audit.schemas import AuditPage
from gateway.audit.store import AuditFilter
from gateway.auth.guard import GuardedRoute
from gateway.documents import gives, refusals
from gateway.paging import Page
from gateway.replies import reply
from gateway.services import actor_of, services_of

router = APIRouter(prefix="/api/automation", tags=["Audit"], route_class=GuardedRoute)

_ROW: Final = {
    "seq": 42,
    "at": "2026-11-22T13:26:00.123456+00:00",
    "actor": {
        "kind": "key",
        "id": "6f1f6f0e-5a4c-4d0c-9a43-0d5f3f6f1c11",
        "name": "crm",
        "address": "203.0.113.9",
    },
    "action": "lead.saved",
    "objectId": "ahmed",
    "before": {"email": "[email]", "consent": {"email": True, "whatsapp": None}},
    "after": {"email": "[email]", "consent": {"email": False, "whatsapp": None}},
    "previous": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "hash": "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
}


@router.get(
    "/audit",
    summary="Read the audit log",
    description="Who did what. Personal data and secrets stand there by their type "
    "only. Each row holds the hash of the row before it: `mirsal audit verify` finds rows that "
    "were changed, removed, added or moved. Of starts only those of several runs at once are in "
    "it: each run tells of itself.",
    responses={
        200: gives(AuditPage, {"items": [_ROW], "nextCursor": None}),
        **refusals(422),
    },
)
async def list_audit(
    request: Request,
    page: Page,
    action: Annotated[Action | None, Query(description="This only.")] = None,
    object_id: Annotated[
        str | None, Query(alias="objectId", description="Of this object only.", max_length=128)
    ] = None,
    actor_id: Annotated[
        str | None, Query(alias="actorId", description="Done by this actor only.", max_length=256)
    ] = None,
) -> Response:
    wanted = AuditFilter(action, object_id, actor_id)
    return reply(await services_of(request).trail.read(actor_of(request), wanted, page))
