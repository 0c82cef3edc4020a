"""The run calls."""

from typing import Annotated, Final

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.guard import GuardedRoute
from gateway.bodies import Json, parse, read_body
from gateway.documents import gives, refusals, takes
from gateway.executions.endpoints import EXECUTION, IDEMPOTENCY
from gateway.problems import Problem
from gateway.replies import acting_call_of, call_of, reply
from gateway.runs.schemas import RunsStarted, RunStarted, RunView, StartRun
from gateway.services import caller_of, services_of
from gateway.watching.waiting import wait_of, wait_parameter

router = APIRouter(prefix="/api/automation", tags=["Runs"], route_class=GuardedRoute)

_RUN_ID = "01936f2e-8a00-7c11-9d3b-5f0c2a417e90"
_WAIT: Final = wait_parameter(
    "Answer when the run is over or waits for a person, and after this time at the latest, as in "
    "`10s` (at most 30s)."
)
_STARTED = {
    "runId": _RUN_ID,
    "status": "queued",
    "statusUrl": f"/api/automation/run/{_RUN_ID}",
}
RUN: Final = {
    "runId": _RUN_ID,
    "workflowId": "welcome",
    "version": 3,
    "leadId": "ahmed",
    "status": "succeeded",
    "executions": [EXECUTION],
    "error": None,
    "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
    "createdAt": "2026-11-22T13:26:00Z",
    "updatedAt": "2026-11-22T13:26:01Z",
    "endedAt": "2026-11-22T13:26:01Z",
    "requestedBy": {"kind": "key", "id": "6f1f6f0e-5a4c-4d0c-9a43-0d5f3f6f1c11", "name": "crm"},
}


@router.post(
    "/workflow/{workflowId}/run",
    status_code=202,
    summary="Start a workflow",
    description="For one lead, or for up to 1,000. One unknown id refuses the whole call. A 503 "
    "leaves open whether the call counts: repeat it with the same Idempotency-Key.",
    openapi_extra={
        **takes(
            StartRun,
            {"leadId": "ahmed", "input": {"campaign": "spring"}},
            more={"many": {"leadIds": ["ahmed", "sara"]}},
        ),
        "parameters": [IDEMPOTENCY],
    },
    responses={
        202: {
            **gives(RunStarted, _STARTED, headers={"Location": "The run's path, for one lead."}),
            "model": RunStarted | RunsStarted,
        },
        **refusals(403, 404, 408, 409, 413, 422),
    },
)
async def start_run(
    request: Request,
    workflow_id: Annotated[str, Path(alias="workflowId", description="The workflow's id.")],
) -> Response:
    body = parse(await read_body(request))
    says = workflow_id.encode() + b"\0" + (body.canonical if isinstance(body, Json) else b"")
    # Calls for many are recorded, and so need to know from where they come.
    read_call = acting_call_of if _names_many(body) else call_of
    call = read_call(request, "start-run", says)
    started = await services_of(request).starts.start(call, workflow_id, body)
    if isinstance(started, RunStarted):
        return reply(started, 202, headers={"Location": started.status_url})
    return reply(started, 202)


def _names_many(body: Json | Problem) -> bool:
    return isinstance(body, Json) and isinstance(body.value, dict) and "leadIds" in body.value


@router.get(
    "/run/{runId}",
    summary="Read a run",
    description="With its executions, oldest first. An id that was just issued reads `queued`.",
    openapi_extra={"parameters": [_WAIT]},
    responses={200: gives(RunView, RUN), **refusals(404, 422)},
)
async def read_run(
    request: Request, run_id: Annotated[str, Path(alias="runId", description="The run's id.")]
) -> Response:
    runs, caller = services_of(request).runs, caller_of(request)
    seconds = wait_of(request)
    if seconds is None:
        return reply(await runs.read(caller, run_id))
    return reply(await runs.read_within(caller, run_id, seconds))
