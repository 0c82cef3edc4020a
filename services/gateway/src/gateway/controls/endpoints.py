"""Cancelling and retrying runs, and deciding executions that rest."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.guard import GuardedRoute
from gateway.bodies import read_model
from gateway.controls.schemas import ControlAccepted, Decide
from gateway.documents import gives, refusals, takes
from gateway.executions.endpoints import IDEMPOTENCY
from gateway.replies import acting_call_of, reply
from gateway.runs.endpoints import RUN
from gateway.services import services_of

router = APIRouter(prefix="/api/automation", tags=["Control"], route_class=GuardedRoute)

_ACCEPTED: Final = {
    "controlId": "01936f30-11c2-7a9e-8c55-2b7d90e4f1a3",
    "runId": RUN["runId"],
    "statusUrl": f"/api/automation/run/{RUN['runId']}",
}
RunId = Annotated[str, Path(alias="runId", description="The run's id.")]


def _describe(*statuses: int, **extra: Any) -> dict[str, Any]:
    return {
        "status_code": 202,
        "openapi_extra": {**extra, "parameters": [IDEMPOTENCY]},
        "responses": {
            202: gives(ControlAccepted, _ACCEPTED, headers={"Location": "The run's path."}),
            **refusals(404, 409, 422, *statuses),
        },
    }


@router.post(
    "/run/{runId}/cancel",
    summary="Cancel a run",
    description="It ends at once: what waits is cancelled and nothing more is sent. What a "
    "connector has been asked for already may still happen; its result is then recorded with the "
    "execution and changes nothing else. 409 for a run that is over.",
    **_describe(),
)
async def cancel_run(request: Request, run_id: RunId) -> Response:
    call = acting_call_of(request, "cancel-run", run_id.encode())
    return _reply(await services_of(request).controls.cancel(call, run_id))


@router.post(
    "/run/{runId}/retry",
    summary="Retry a run from where it failed",
    description="Failed and cancelled executions get another attempt under the same execution id, "
    "and what could not start for them follows; what succeeded is not done again. An execution "
    "that was on its way when the run was cancelled is asked about rather than repeated. 409 for "
    "a run that has not failed and was not cancelled, or that ended more than 7 days ago.",
    **_describe(),
)
async def retry_run(request: Request, run_id: RunId) -> Response:
    call = acting_call_of(request, "retry-run", run_id.encode())
    return _reply(await services_of(request).controls.retry(call, run_id))


@router.post(
    "/execution/{executionId}/decision",
    summary="Decide an execution that rests",
    description="For one that is `unconfirmed` (nobody can tell whether it happened) or `waiting` "
    "for a person: it was sent, it shall be sent again, or it is given up, which fails the run. "
    "It counts for the attempt that is seen now: if another one follows first, it changes "
    "nothing. 409 where there is nothing to decide.",
    **_describe(408, 413, **takes(Decide, {"verdict": "sent"})),
)
async def decide_execution(
    request: Request,
    execution_id: Annotated[str, Path(alias="executionId", description="The execution's id.")],
) -> Response:
    wanted = await read_model(request, Decide)
    says = f"{execution_id}/{wanted.verdict}".encode()
    call = acting_call_of(request, "decide-execution", says)
    return _reply(await services_of(request).controls.decide(call, execution_id, wanted))


def _reply(accepted: ControlAccepted) -> Response:
    return reply(accepted, 202, headers={"Location": accepted.status_url})
