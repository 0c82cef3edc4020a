"""The calls of single connectors, of executions, and of workflows' logs."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.guard import GuardedRoute
from gateway.bodies import Json, parse, read_body
from gateway.documents import gives, refusals, takes
from gateway.executions.schemas import (
    ExecutionStarted,
    ExecutionStatus,
    ExecutionView,
    LogPage,
    ProcessSheet,
    SendEmail,
    SendOne,
    SendWhatsApp,
)
from gateway.executions.store import LogFilter
from gateway.paging import Page
from gateway.repeats import describe_key
from gateway.replies import call_of, reply
from gateway.services import caller_of, services_of
from gateway.shapes import Identifier
from gateway.watching.waiting import wait_of, wait_parameter

router = APIRouter(prefix="/api/automation", tags=["Executions"], route_class=GuardedRoute)


IDEMPOTENCY: Final = describe_key(
    "Names this call: repeated with the same key and body it starts nothing new and gets the same "
    "answer, for at least 48 hours. Another body is refused with 422."
)
_WAIT: Final = wait_parameter(
    "Answer when the execution is over or waits for a person, and after this time at the latest, "
    "as in `10s` (at most 30s)."
)
_EXECUTION_ID = "01936f2e-8a00-84bd-bc3e-d4f4b8389c69"
EXECUTION: Final = {
    "executionId": _EXECUTION_ID,
    "runId": "01936f2e-8a00-7c11-9d3b-5f0c2a417e90",
    "workflowId": "welcome",
    "nodeId": "mail",
    "leadId": "ahmed",
    "connectorType": "email",
    "status": "succeeded",
    "retryCount": 0,
    "maxRetries": 3,
    "startTime": "2026-11-22T13:26:00.100000Z",
    "endTime": "2026-11-22T13:26:00.350000Z",
    "durationMs": 250,
    "output": {"messageId": "<01936f2e@mirsal>"},
    "error": None,
    "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
    "createdAt": "2026-11-22T13:26:00Z",
    "updatedAt": "2026-11-22T13:26:00.360000Z",
}
_STARTED = {
    "executionId": _EXECUTION_ID,
    "runId": "01936f2e-8a00-7c11-9d3b-5f0c2a417e90",
    "status": "queued",
    "statusUrl": f"/api/automation/execution/{_EXECUTION_ID}/status",
}
_MAIL = {"subject": "مرحباً {{lead.name}}", "body": "عزيزي {{lead.name}}, شكراً لاهتمامك"}
_TEXT = {"text": "أهلاً {{lead.name}}"}

_ROW = {
    "operation": "append",
    "spreadsheetId": "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms",
    "sheet": "Leads",
    "values": {
        "الاسم": "{{lead.name}}",
        "Phone": "{{lead.phone}}",
        "Score": "{{lead.fields.score}}",
    },
    "types": {"Score": "number"},
}


def _describe_send(model: type[SendOne], config: dict[str, Any]) -> dict[str, Any]:
    example = {"leadId": "ahmed", "config": config, "workflowId": "welcome", "nodeId": "direct"}
    return {
        "status_code": 202,
        "description": "A run of this one node. The workflow and the lead must exist.",
        "openapi_extra": {**takes(model, example), "parameters": [IDEMPOTENCY]},
        "responses": {
            202: gives(ExecutionStarted, _STARTED, headers={"Location": "The status URL."}),
            **refusals(403, 404, 408, 413, 422),
        },
    }


@router.post("/email/send", summary="Send one e-mail", **_describe_send(SendEmail, _MAIL))
async def send_email(request: Request) -> Response:
    return await _send(request, "email")


@router.post(
    "/whatsapp/send", summary="Send one WhatsApp message", **_describe_send(SendWhatsApp, _TEXT)
)
async def send_whatsapp(request: Request) -> Response:
    return await _send(request, "whatsapp")


@router.post(
    "/google-sheets/process",
    summary="Work on the rows of a sheet",
    **_describe_send(ProcessSheet, _ROW),
)
async def process_sheet(request: Request) -> Response:
    return await _send(request, "google_sheets")


async def _send(request: Request, connector: str) -> Response:
    body = parse(await read_body(request))
    says = body.canonical if isinstance(body, Json) else b""
    call = call_of(request, f"send-{connector}", says)
    started = await services_of(request).direct.send(call, connector, body)
    return reply(started, 202, headers={"Location": started.status_url})


@router.get(
    "/execution/{executionId}/status",
    summary="Read an execution",
    description="An id that was just issued reads `queued`.",
    openapi_extra={"parameters": [_WAIT]},
    responses={200: gives(ExecutionView, EXECUTION), **refusals(404, 422)},
)
async def read_execution(
    request: Request,
    execution_id: Annotated[str, Path(alias="executionId", description="The execution's id.")],
) -> Response:
    executions, caller = services_of(request).executions, caller_of(request)
    seconds = wait_of(request)
    if seconds is None:
        return reply(await executions.read(caller, execution_id))
    return reply(await executions.read_within(caller, execution_id, seconds))


@router.get(
    "/workflow/{workflowId}/logs",
    summary="Read a workflow's log",
    description="Its executions.",
    responses={
        200: gives(LogPage, {"items": [EXECUTION], "nextCursor": None}),
        **refusals(403, 422),
    },
)
async def list_log(
    request: Request,
    workflow_id: Annotated[str, Path(alias="workflowId", description="The workflow's id.")],
    page: Page,
    lead_id: Annotated[
        Identifier | None, Query(alias="leadId", description="Of this lead only.")
    ] = None,
    run_id: Annotated[UUID | None, Query(alias="runId", description="Of this run only.")] = None,
    status: Annotated[ExecutionStatus | None, Query(description="In this status only.")] = None,
    connector_type: Annotated[
        str | None,
        Query(
            alias="connectorType", description="Of this type only.", pattern=r"^[a-z0-9_]{1,64}$"
        ),
    ] = None,
) -> Response:
    wanted = LogFilter(lead_id, run_id, status, connector_type)
    executions = services_of(request).executions
    return reply(await executions.list_log(caller_of(request), workflow_id, wanted, page))
