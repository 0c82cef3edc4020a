"""The calls of dead letters."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.guard import GuardedRoute
from gateway.documents import gives, refusals
from gateway.executions.endpoints import IDEMPOTENCY
from gateway.letters.schemas import LetterContent, LetterPage, LetterView, ReplayAccepted
from gateway.letters.service import LETTER_PATH
from gateway.letters.store import LetterFilter
from gateway.paging import Page
from gateway.replies import acting_call_of, reply
from gateway.services import actor_of, caller_of, services_of
from gateway.shapes import Identifier

router = APIRouter(prefix="/api/automation", tags=["Dead letters"], route_class=GuardedRoute)

LetterId = Annotated[str, Path(alias="letterId", description="The letter's id.")]

_ID: Final = "5d0cf7a2-3f0b-5c1e-9a51-6f6c2b8e4d17"
_RUN_ID: Final = "01936f2e-8a00-7c11-9d3b-5f0c2a417e90"
_EXECUTION_ID: Final = "01936f2e-8a00-84bd-bc3e-d4f4b8389c69"
_REPLAY_ID: Final = "01936f30-11c2-7a9e-8c55-2b7d90e4f1a3"
_SUMMARY: Final = {
    "letterId": _ID,
    "connectorType": "email",
    "position": {"topic": "commands of email", "partition": 3, "offset": 1047},
    "liesAt": {"topic": "dead letters of email", "partition": 5, "offset": 2},
    "reason": "invalid",
    "text": "config: Field required",
    "type": "mirsal.node.run.v1",
    "runId": _RUN_ID,
    "executionId": _EXECUTION_ID,
    "workflowId": "welcome",
    "nodeId": "mail",
    "leadId": "ahmed",
    "attempt": 1,
    "payloadBytes": 412,
    "createdAt": "2026-11-22T13:26:00Z",
    "replayedBy": "local",
    "replayedAt": "2026-11-22T13:30:00Z",
    "outcome": "reissued",
}
_CONTENT: Final = {
    "letterId": _ID,
    "key": _RUN_ID,
    "headers": [{"name": "ce_type", "value": "mirsal.node.run.v1"}],
    "payload": {"runId": _RUN_ID, "leadId": "ahmed", "config": {"subject": "مرحباً أحمد"}},
    "payloadText": None,
    "isMasked": False,
    "wholeBytes": None,
}
_VIEW: Final = {
    **_SUMMARY,
    **_CONTENT,
    "payload": {"runId": _RUN_ID, "leadId": "ahmed", "config": {"subject": "***"}},
    "isMasked": True,
    "replays": [
        {
            "replayId": _REPLAY_ID,
            "requestedBy": "local",
            "requestedAt": "2026-11-22T13:29:59.900000Z",
            "replayedAt": "2026-11-22T13:30:00Z",
            "outcome": "reissued",
        }
    ],
}
_ACCEPTED: Final = {
    "replayId": _REPLAY_ID,
    "letterId": _ID,
    "runId": _RUN_ID,
    "statusUrl": LETTER_PATH + _ID,
}


@router.get(
    "/dead-letters",
    summary="List dead letters",
    description="Messages that nobody could deal with, with their reasons. A letter "
    "shows some seconds after it died, and is kept for 30 days.",
    responses={
        200: gives(LetterPage, {"items": [_SUMMARY], "nextCursor": None}),
        **refusals(422),
    },
)
async def list_letters(
    request: Request,
    page: Page,
    connector_type: Annotated[
        str | None,
        Query(
            alias="connectorType",
            description="Of this connector, or of `orchestrator`, only.",
            pattern=r"^[a-z0-9_]{1,64}$",
        ),
    ] = None,
    topic: Annotated[
        str | None,
        Query(description="From this topic only.", pattern=r"^[A-Za-z0-9._-]{1,249}$"),
    ] = None,
    workflow_id: Annotated[
        Identifier | None, Query(alias="workflowId", description="Of this workflow only.")
    ] = None,
    run_id: Annotated[UUID | None, Query(alias="runId", description="Of this run only.")] = None,
    lead_id: Annotated[
        Identifier | None, Query(alias="leadId", description="Of this lead only.")
    ] = None,
    reason: Annotated[
        str | None, Query(description="For this reason only.", pattern=r"^[a-z0-9_]{1,64}$")
    ] = None,
    is_replayed: Annotated[
        bool | None, Query(alias="isReplayed", description="Whether it was replayed, or not yet.")
    ] = None,
) -> Response:
    wanted = LetterFilter(connector_type, topic, workflow_id, run_id, lead_id, reason, is_replayed)
    letters = services_of(request).letters
    return reply(await letters.list_letters(caller_of(request), wanted, page))


@router.get(
    "/dead-letter/{letterId}",
    summary="Read a dead letter",
    description="With the record's place, headers, and its payload: ids, times and its shape, but "
    "nothing that may be personal.",
    responses={200: gives(LetterView, _VIEW), **refusals(404)},
)
async def read_letter(request: Request, letter_id: LetterId) -> Response:
    return reply(await services_of(request).letters.read(caller_of(request), letter_id))


@router.get(
    "/dead-letter/{letterId}/content",
    summary="Read a dead letter's content",
    description="The record as it was, personal data included. What is called a secret in it, such "
    "as a password or a token, is masked here, too.",
    responses={200: gives(LetterContent, _CONTENT), **refusals(404)},
)
async def read_letter_content(request: Request, letter_id: LetterId) -> Response:
    return reply(await services_of(request).letters.read_content(actor_of(request), letter_id))


@router.post(
    "/dead-letter/{letterId}/replay",
    status_code=202,
    summary="Replay a dead letter",
    description="A command is asked for again only where its run still waits for it, or failed "
    "because it could not be read: what was done meanwhile is not done twice. A request, status, "
    "timer or wish is taken as if it came for the first time. What becomes of it shows in the "
    "letter. 409 for one that names no run.",
    openapi_extra={"parameters": [IDEMPOTENCY]},
    responses={
        202: gives(ReplayAccepted, _ACCEPTED, headers={"Location": "The letter's path."}),
        **refusals(404, 409, 422),
    },
)
async def replay_letter(request: Request, letter_id: LetterId) -> Response:
    call = acting_call_of(request, "replay-letter", letter_id.encode())
    accepted = await services_of(request).letters.replay(call, letter_id)
    return reply(accepted, 202, headers={"Location": accepted.status_url})
