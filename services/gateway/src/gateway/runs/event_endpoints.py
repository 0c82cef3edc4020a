"""The live events of runs."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.guard import GuardedRoute
from gateway.auth.schemas import Principal
from gateway.documents import refusals
from gateway.runs.endpoints import RUN
from gateway.runs.stream import LiveStream, is_told_all, tell_changes, tell_run
from gateway.services import caller_of, services_of

router = APIRouter(prefix="/api/automation", tags=["Live events"], route_class=GuardedRoute)

_CHANGE: Final = {
    **{
        name: value
        for name, value in RUN.items()
        if name not in {"executions", "traceId", "requestedBy"}
    },
    "revision": 3,
}
_LAST_EVENT_ID: Final[dict[str, Any]] = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The id of the last event that came: what is known already is not told again.",
    "schema": {"type": "string", "maxLength": 512},
}


def _streams(description: str, event_id: str, data: dict[str, Any]) -> dict[str, Any]:
    example = f"id: {event_id}\nevent: run\ndata: {orjson.dumps(data).decode()}\n\n"
    return {
        "description": description,
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": example}},
    }


@router.get(
    "/run/{runId}/events",
    summary="Follow a run",
    description="Server-sent events. Each `run` event holds the run as `GET /run/{runId}` gives "
    "it: the first comes at once, the others when something has changed, and after the last one "
    "the stream ends. Changes that follow closely come as one. A client that comes back with "
    "`Last-Event-ID` to a run that is over and was told gets 204, upon which browsers stop.",
    response_class=Response,
    openapi_extra={"parameters": [_LAST_EVENT_ID]},
    responses={
        200: _streams("`run` events.", "5", RUN),
        204: {"description": "The run is over, and `Last-Event-ID` is of its last event."},
        **refusals(404),
    },
)
async def follow_run(
    request: Request, run_id: Annotated[str, Path(alias="runId", description="The run's id.")]
) -> Response:
    services, caller = services_of(request), caller_of(request)
    runs = services.runs
    last_event_id = request.headers.get("last-event-id", "")
    first = await runs.read_revised(caller, run_id)
    if is_told_all(last_event_id, first):
        return Response(status_code=204)
    events = tell_run(runs, caller, first, last_event_id)
    return LiveStream(runs.lookout, events, _ask_for(request, caller))


@router.get(
    "/runs/events",
    summary="Follow all runs",
    description="Server-sent events of the workspace. Each `run` event holds a run that has "
    "changed, as it is now and without its executions; it begins with those of the last seconds. "
    "A change may come twice: `revision` tells. `gap` says that more has changed than is told: "
    "read anew what is shown. With `Last-Event-ID` (an hour old at most) it goes on from there.",
    response_class=Response,
    openapi_extra={"parameters": [_LAST_EVENT_ID]},
    responses={
        200: _streams("`run` and `gap` events.", "MTc5NTM1NTk2MTAwMDAwMC8wMTkz", _CHANGE),
        **refusals(),
    },
)
async def follow_runs(request: Request) -> Response:
    services, caller = services_of(request), caller_of(request)
    last_event_id = request.headers.get("last-event-id", "")
    events = tell_changes(services.feed, caller, last_event_id)
    return LiveStream(services.lookout, events, _ask_for(request, caller))


def _ask_for(request: Request, caller: Principal) -> Callable[[], Awaitable[bool]]:
    """Asks whether the caller may still follow."""
    return partial(services_of(request).door.is_still, caller, request.scope)
