"""The calls about whom a workspace may write to."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.guard import GuardedRoute
from gateway.bodies import read_model
from gateway.documents import gives, refusals, takes
from gateway.paging import Page
from gateway.repeats import REPEATABLE
from gateway.replies import once_of, reply
from gateway.sending.schemas import (
    MOST_AT_ONCE,
    Channel,
    Kind,
    PolicyDraft,
    PolicyView,
    SendingView,
    SuppressionDraft,
    SuppressionImport,
    SuppressionPage,
    SuppressionsSaved,
    SuppressionView,
)
from gateway.services import actor_of, caller_of, services_of

router = APIRouter(prefix="/api/automation", tags=["Sending"], route_class=GuardedRoute)

_DRAFT: Final = {
    "channel": "email",
    "address": "sara@example.com",
    "kind": "deny",
    "reason": "unsubscribed",
}
_PHONE: Final = {"channel": "whatsapp", "address": "+966501234567", "kind": "allow", "reason": None}
_VIEW: Final = {
    "suppressionId": "3f2b8c1d-5a60-4e71-9c82-d3e4f5a6b7c8",
    "channel": "email",
    "kind": "deny",
    "masked": "s…@example.com",
    "reason": "unsubscribed",
    "createdBy": "local",
    "createdAt": "2026-11-22T13:26:00Z",
}
_FREE: Final = {"onlyListed": False, "updatedBy": None, "updatedAt": None}
_HELD: Final = {"onlyListed": True, "updatedBy": "local", "updatedAt": "2026-11-22T13:26:00Z"}


@router.post(
    "/suppressions",
    summary="List an address",
    description="From then on the workspace does not write to it (`deny`; an address that is "
    "denied stays so until that is removed: 409), or may where the channel is held to listed "
    "addresses (`allow`). It counts within seconds, also for runs that go on. The address is kept "
    "as a keyed hash: nobody reads it back.",
    openapi_extra={
        **takes(SuppressionDraft, _DRAFT, more={"whatsapp": _PHONE}),
        "parameters": [REPEATABLE],
    },
    responses={200: gives(SuppressionView, _VIEW), **refusals(404, 408, 409, 413, 422)},
)
async def save_suppression(request: Request) -> Response:
    draft = await read_model(request, SuppressionDraft)
    once = once_of(request, "save-suppression", draft.model_dump_json(by_alias=True).encode())
    return reply(await services_of(request).sending.save(actor_of(request), draft, once))


@router.post(
    "/suppressions/import",
    summary="List many addresses",
    description=f"Up to {MOST_AT_ONCE:,} in one call: all are listed as if each had a call of its "
    "own, or none is. 422 names each that is no address or is there twice by its place in the "
    "body, 409 each that is denied and would be allowed.",
    openapi_extra={
        **takes(SuppressionImport, {"items": [_DRAFT, _PHONE]}),
        "parameters": [REPEATABLE],
    },
    responses={200: gives(SuppressionsSaved, {"saved": 2}), **refusals(408, 409, 413, 422)},
)
async def import_suppressions(request: Request) -> Response:
    draft = await read_model(request, SuppressionImport)
    once = once_of(request, "import-suppressions", draft.model_dump_json(by_alias=True).encode())
    return reply(await services_of(request).sending.import_many(actor_of(request), draft, once))


@router.get(
    "/suppressions",
    summary="List the listed addresses",
    description="As far as they may be shown.",
    responses={
        200: gives(SuppressionPage, {"items": [_VIEW], "nextCursor": None}),
        **refusals(422),
    },
)
async def list_suppressions(
    request: Request,
    page: Page,
    channel: Annotated[Channel | None, Query(description="Of this channel only.")] = None,
    kind: Annotated[Kind | None, Query(description="Of this kind only.")] = None,
) -> Response:
    sending = services_of(request).sending
    return reply(await sending.list_suppressions(caller_of(request), channel, kind, page))


@router.delete(
    "/suppression/{suppressionId}",
    summary="List an address no more",
    description="Whoever was denied may be written to again: their consent is the caller's word.",
    responses={200: gives(SuppressionView, _VIEW), **refusals(404)},
)
async def remove_suppression(
    request: Request,
    suppression_id: Annotated[
        str, Path(alias="suppressionId", description="The listed address's id.")
    ],
) -> Response:
    return reply(await services_of(request).sending.remove(actor_of(request), suppression_id))


@router.get(
    "/sending",
    summary="Read how channels may be used",
    responses={200: gives(SendingView, {"email": _HELD, "whatsapp": _FREE}), **refusals()},
)
async def read_sending(request: Request) -> Response:
    return reply(await services_of(request).sending.read(caller_of(request)))


@router.put(
    "/sending/{channel}",
    summary="Say how a channel may be used",
    description="With `onlyListed` nobody is written to but addresses of the kind `allow`.",
    openapi_extra=takes(PolicyDraft, {"onlyListed": True}),
    responses={200: gives(PolicyView, _HELD), **refusals(408, 413, 422)},
)
async def save_sending(
    request: Request, channel: Annotated[Channel, Path(description="The channel.")]
) -> Response:
    draft = await read_model(request, PolicyDraft)
    return reply(await services_of(request).sending.save_policy(actor_of(request), channel, draft))
