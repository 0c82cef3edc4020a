"""The calls of credentials."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from mirsal_contracts.credentials import CredentialType
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.guard import GuardedRoute
from gateway.bodies import read_model
from gateway.credentials.schemas import (
    CredentialChecked,
    CredentialDraft,
    CredentialPage,
    CredentialView,
)
from gateway.documents import gives, refusals, takes
from gateway.executions.endpoints import EXECUTION, IDEMPOTENCY
from gateway.paging import Page
from gateway.replies import call_of, reply
from gateway.services import actor_of, caller_of, services_of
from gateway.shapes import Identifier
from gateway.watching.waiting import wait_of, wait_parameter

router = APIRouter(prefix="/api/automation", tags=["Credentials"], route_class=GuardedRoute)

CredentialId = Annotated[str, Path(alias="credentialId", description="The credential's id.")]

_DRAFT: Final = {
    "name": "Support",
    "account": {
        "type": "smtp",
        "host": "smtp.example.com",
        "port": 587,
        "tls": "starttls",
        "username": "support@example.com",
        "password": "an app password",
        "from": "support@example.com",
        "fromName": "الدعم",
    },
}
_WHATSAPP: Final = {
    "name": "Sales",
    "account": {"type": "whatsapp", "token": "EAAB...", "phoneNumberId": "100000000000001"},
}
_GOOGLE: Final = {
    "account": {
        "type": "google",
        "key": {
            "type": "authorized_user",
            "client_id": "1234.apps.googleusercontent.com",
            "client_secret": "…",
            "refresh_token": "1//…",
        },
    },
}
_VIEW: Final = {
    "credentialId": "support",
    "type": "smtp",
    "name": "Support",
    "summary": "support@example.com by smtp.example.com:587",
    "createdBy": "local",
    "createdAt": "2026-11-22T13:26:00Z",
    "updatedBy": "local",
    "updatedAt": "2026-11-22T13:26:00Z",
}
_CHECKED: Final = {
    "credentialId": "support",
    "works": True,
    "output": {
        "server": "smtp.example.com:587",
        "tls": "starttls",
        "sender": "support@example.com",
    },
    "error": None,
    "executionId": EXECUTION["executionId"],
    "statusUrl": f"/api/automation/execution/{EXECUTION['executionId']}/status",
}
_WAIT: Final = wait_parameter("Wait so long for the answer, as in `20s` (at most 30s).")


@router.get(
    "/credentials",
    summary="List credentials",
    description="Without their secrets.",
    responses={
        200: gives(CredentialPage, {"items": [_VIEW], "nextCursor": None}),
        **refusals(422),
    },
)
async def list_credentials(
    request: Request,
    page: Page,
    account_type: Annotated[
        CredentialType | None, Query(alias="type", description="Of this type only.")
    ] = None,
) -> Response:
    credentials = services_of(request).credentials
    return reply(await credentials.list_credentials(caller_of(request), account_type, page))


@router.put(
    "/credential/{credentialId}",
    summary="Save a credential",
    description="An account at a provider, for nodes to name as `credentialId`. It is sealed, and "
    "shown to nobody again; saved anew, connectors use the new one within seconds. The type stays: "
    "409 for another one.",
    openapi_extra=takes(CredentialDraft, _DRAFT, more={"whatsapp": _WHATSAPP, "google": _GOOGLE}),
    responses={
        200: gives(CredentialView, _VIEW),
        201: gives(CredentialView, _VIEW),
        **refusals(408, 409, 413, 422),
    },
)
async def save_credential(
    request: Request,
    credential_id: Annotated[
        Identifier, Path(alias="credentialId", description="The credential's id.")
    ],
) -> Response:
    draft = await read_model(request, CredentialDraft)
    credentials = services_of(request).credentials
    view, is_new = await credentials.put(actor_of(request), credential_id, draft)
    return reply(view, 201 if is_new else 200)


@router.get(
    "/credential/{credentialId}",
    summary="Read a credential",
    description="Without its secrets.",
    responses={200: gives(CredentialView, _VIEW), **refusals(404)},
)
async def read_credential(request: Request, credential_id: CredentialId) -> Response:
    return reply(await services_of(request).credentials.read(caller_of(request), credential_id))


@router.delete(
    "/credential/{credentialId}",
    summary="Delete a credential",
    description="Executions of nodes that name it wait for a person from then on.",
    responses={200: gives(CredentialView, _VIEW), **refusals(404)},
)
async def delete_credential(request: Request, credential_id: CredentialId) -> Response:
    return reply(await services_of(request).credentials.delete(actor_of(request), credential_id))


@router.post(
    "/credential/{credentialId}/check",
    summary="Try a credential",
    description="The connector logs in with the account, and does nothing else. With `wait` the "
    "answer is 200 with what came of it, if that is known in time; else 202, and `works` is null.",
    status_code=202,
    openapi_extra={"parameters": [IDEMPOTENCY, _WAIT]},
    responses={
        200: gives(CredentialChecked, _CHECKED),
        202: gives(CredentialChecked, {**_CHECKED, "works": None, "output": None}),
        **refusals(404, 422),
    },
)
async def check_credential(request: Request, credential_id: CredentialId) -> Response:
    seconds = wait_of(request)
    call = call_of(request, "check-credential", credential_id.encode())
    checked = await services_of(request).credentials.check(call, credential_id, seconds)
    return reply(checked, 202 if checked.works is None else 200)
