"""The calls of the code runner: run once, with the result at once if wanted; look for mistakes."""

from contextlib import suppress
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.guard import GuardedRoute
from gateway.bodies import Json, parse, read_body
from gateway.documents import gives, refusals, takes
from gateway.executions.endpoints import EXECUTION, IDEMPOTENCY
from gateway.executions.schemas import (
    FINAL_STATUSES,
    CheckCode,
    CodeChecked,
    CodeMistake,
    ExecuteCode,
    ExecutionStarted,
    ExecutionView,
)
from gateway.problems import unavailable
from gateway.replies import call_of, reply
from gateway.services import caller_of, services_of
from gateway.store import DatabaseUnavailable
from gateway.watching.lookout import NoPlace
from gateway.watching.waiting import wait_of, wait_parameter

router = APIRouter(prefix="/api/automation/code", tags=["Executions"], route_class=GuardedRoute)

CHECK_SECONDS: Final = 10.0
_CODE: Final = "def main(input):\n    return {'greeting': 'أهلاً ' + input['name']}\n"
_CONFIG: Final = {"language": "python", "code": _CODE, "input": {"name": "{{lead.name}}"}}
_STARTED: Final = {
    "executionId": EXECUTION["executionId"],
    "runId": EXECUTION["runId"],
    "status": "queued",
    "statusUrl": f"/api/automation/execution/{EXECUTION['executionId']}/status",
}
_DONE: Final = {
    **EXECUTION,
    "nodeId": "direct",
    "connectorType": "code",
    "output": {"outcome": "ok", "result": {"greeting": "أهلاً أحمد"}, "logs": ""},
}
_MISTAKE: Final = {
    "type": "SyntaxError",
    "message": "'(' was never closed",
    "line": 2,
    "column": 11,
}
_WAIT: Final = wait_parameter("Wait so long for the result, as in `10s` (at most 30s).")


@router.post(
    "/execute",
    summary="Run a code once",
    description="With `wait`, the answer is 200 with the execution if it ends in time.",
    status_code=202,
    openapi_extra={
        **takes(
            ExecuteCode,
            {"leadId": "ahmed", "config": _CONFIG, "workflowId": "welcome", "nodeId": "direct"},
        ),
        "parameters": [IDEMPOTENCY, _WAIT],
    },
    responses={
        200: gives(ExecutionView, _DONE),
        202: gives(ExecutionStarted, _STARTED, headers={"Location": "The status URL."}),
        **refusals(403, 404, 408, 413, 422),
    },
)
async def execute_code(request: Request) -> Response:
    seconds = wait_of(request)
    body = parse(await read_body(request))
    says = body.canonical if isinstance(body, Json) else b""
    services = services_of(request)
    call = call_of(request, "send-code", says)
    started = await services.direct.send(call, "code", body)
    if seconds is not None:
        executions, caller = services.executions, caller_of(request)
        # It has begun: that too many wait, or that nobody can see it end, is no refusal.
        with suppress(NoPlace, DatabaseUnavailable):
            view = await executions.read_within(caller, started.execution_id, seconds)
            if view.status in FINAL_STATUSES:
                return reply(view)
    return reply(started, 202, headers={"Location": started.status_url})


@router.post(
    "/check",
    summary="Look for mistakes in a code",
    description="The code is read, not run. It shows in the workflow's log as `code-check`.",
    openapi_extra={
        **takes(
            CheckCode,
            {
                "workflowId": "welcome",
                "language": "python",
                "code": "def main(input):\n    return (1",
            },
        ),
        "parameters": [IDEMPOTENCY],
    },
    responses={
        200: gives(CodeChecked, {"valid": False, "mistakes": [_MISTAKE]}),
        **refusals(403, 408, 413, 422),
    },
)
async def check_code(request: Request) -> Response:
    body = parse(await read_body(request))
    says = body.canonical if isinstance(body, Json) else b""
    services = services_of(request)
    call = call_of(request, "check-code", says)
    started = await services.direct.check_code(call, body)
    caller = caller_of(request)
    view = await services.executions.read_within(caller, started.execution_id, CHECK_SECONDS)
    if view.output is None:
        raise unavailable("The code runner did not answer in time.")
    found = view.output.get("result")
    mistakes = [
        CodeMistake.model_validate({"type": "Error", "message": "", **each})
        for each in (found if isinstance(found, list) else [])
        if isinstance(each, dict)
    ]
    return reply(CodeChecked(valid=not mistakes, mistakes=mistakes))
