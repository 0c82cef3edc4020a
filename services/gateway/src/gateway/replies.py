"""Answers of endpoints as HTTP responses, and what requests carry in their headers."""

from collections.abc import Mapping

from mirsal_runtime import telemetry
from starlette.requests import Request
from starlette.responses import Response

from gateway.runs.launch import Call
from gateway.services import actor_of, caller_of
from gateway.shapes import Answer

JSON = "application/json"


def reply(
    answer: Answer, status: int = 200, *, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer as JSON."""
    return Response(answer.to_json(), status, headers=headers, media_type=JSON)


def call_of(request: Request, route: str, says: bytes, traceparent: str) -> Call:
    """The request as a start of runs; `says` is what it asks for, canonically."""
    return Call(
        caller_of(request), route, request.headers.get("idempotency-key"), says, traceparent
    )


def acting_call_of(request: Request, route: str, says: bytes, traceparent: str) -> Call:
    """As `call_of`, for calls that the audit log tells of."""
    call = call_of(request, route, says, traceparent)
    return call._replace(caller=actor_of(request))


def traceparent_of(request: Request) -> str:
    """The caller's trace, or empty."""
    given = request.headers.get("traceparent", "")
    return given if telemetry.is_traceparent(given) else ""
