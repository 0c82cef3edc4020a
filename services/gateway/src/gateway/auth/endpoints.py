"""The calls of API keys."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.guard import GuardedRoute
from gateway.auth.key_ring import KEY_PATH
from gateway.auth.schemas import KeyDraft, KeyMade, KeyPage, KeyView, Rotation
from gateway.bodies import read_model
from gateway.documents import gives, refusals, takes
from gateway.paging import Page
from gateway.repeats import SHOWN_ONCE
from gateway.replies import once_of, reply
from gateway.services import actor_of, services_of

router = APIRouter(prefix="/api/automation", tags=["Keys"], route_class=GuardedRoute)

KeyId = Annotated[str, Path(alias="keyId", description="The key's id, which is not the key.")]

_ID = "6f1f6f0e-5a4c-4d0c-9a43-0d5f3f6f1c11"
_VIEW = {
    "keyId": _ID,
    "name": "crm",
    "hint": "mk_4fQ9aZ",
    "role": "operator",
    "scopes": ["leads:read", "leads:write", "runs:start"],
    "workflowIds": ["welcome"],
    "rateLimitPerMinute": 600,
    "createdBy": "local",
    "createdAt": "2026-11-22T13:26:00Z",
    "expiresAt": "2027-02-20T13:26:00Z",
    "revokedAt": None,
    "lastUsedAt": "2026-11-22T15:02:11Z",
    "replacedBy": None,
}
_MADE = {**_VIEW, "lastUsedAt": None, "key": "mk_" + "4fQ9aZ" + "0" * 43}
_DRAFT = {
    "name": "crm",
    "role": "operator",
    "scopes": ["leads:read", "leads:write", "runs:start"],
    "workflowIds": ["welcome"],
    "rateLimitPerMinute": 600,
    "lifetimeDays": 90,
}
_LOCATION = {"Location": "The key's path."}


@router.get(
    "/keys",
    summary="List API keys",
    description="With those that were revoked or have expired. `lastUsedAt` may be "
    "some seconds late.",
    responses={200: gives(KeyPage, {"items": [_VIEW], "nextCursor": None}), **refusals(422)},
)
async def list_keys(request: Request, page: Page) -> Response:
    return reply(await services_of(request).key_ring.list_keys(actor_of(request), page))


@router.post(
    "/keys",
    status_code=201,
    summary="Make an API key",
    description="The key is shown in this answer and never again. It may do what its role may, or "
    "only what `scopes` says of that, with all workflows or only with `workflowIds`. 403 where the "
    "caller may not do so much.",
    openapi_extra={**takes(KeyDraft, _DRAFT), "parameters": [SHOWN_ONCE]},
    responses={201: gives(KeyMade, _MADE, headers=_LOCATION), **refusals(408, 409, 413, 422)},
)
async def make_key(request: Request) -> Response:
    draft = await read_model(request, KeyDraft)
    once = once_of(request, "make-key", draft.model_dump_json(by_alias=True).encode())
    made = await services_of(request).key_ring.make(actor_of(request), draft, once)
    return reply(made, 201, headers={"Location": KEY_PATH + made.key_id})


@router.get(
    "/key/{keyId}",
    summary="Read an API key",
    responses={200: gives(KeyView, _VIEW), **refusals(404)},
)
async def read_key(request: Request, key_id: KeyId) -> Response:
    return reply(await services_of(request).key_ring.read(actor_of(request), key_id))


@router.post(
    "/key/{keyId}/rotate",
    status_code=201,
    summary="Rotate an API key",
    description="A new key that may do the same. The old one works on for `overlapHours`; keys "
    "before it end at once, so that two can be used at a time. 409 for a key that may not be "
    "used any more or was rotated already.",
    openapi_extra={**takes(Rotation, {"overlapHours": 24}), "parameters": [SHOWN_ONCE]},
    responses={
        201: gives(KeyMade, _MADE, headers=_LOCATION),
        **refusals(404, 408, 409, 413, 422),
    },
)
async def rotate_key(request: Request, key_id: KeyId) -> Response:
    wanted = await read_model(request, Rotation)
    says = wanted.model_dump_json(by_alias=True).encode()
    once = once_of(request, "rotate-key", key_id.encode(), says)
    made = await services_of(request).key_ring.rotate(actor_of(request), key_id, wanted, once)
    return reply(made, 201, headers={"Location": KEY_PATH + made.key_id})


@router.delete(
    "/key/{keyId}",
    summary="Revoke an API key",
    description="No gateway lets it in a second later. Said again, nothing changes.",
    responses={
        200: gives(KeyView, {**_VIEW, "revokedAt": "2026-11-22T16:00:00Z"}),
        **refusals(404),
    },
)
async def revoke_key(request: Request, key_id: KeyId) -> Response:
    return reply(await services_of(request).key_ring.revoke(actor_of(request), key_id))
