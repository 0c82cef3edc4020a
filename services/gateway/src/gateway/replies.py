"""Answers of endpoints as HTTP responses, and what requests carry in their headers."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from gateway.frame import TRACEPARENT
from gateway.runs.launch import Call
from gateway.services import actor_of, caller_of
from gateway.shapes import Answer

JSON = "application/json"


def reply(
    answer: Answer, status: int = 200, *, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer as JSON."""
    return Response(answer.to_json(), status, headers=headers, media_type=JSON)


def call_of(request: Request, route: str, says: bytes) -> Call:
    """The request as a start of runs; `says` is what it asks for, canonically."""
    key = request.headers.get("idempotency-key")
    return Call(caller_of(request), route, key, says, traceparent_of(request))


def acting_call_of(request: Request, route: str, says: bytes) -> Call:
    """As `call_of`, for calls that the audit log tells of."""
    call = call_of(request, route, says)
    return call._replace(caller=actor_of(request))


def traceparent_of(request: Request) -> str:
    """The context of the call's own span: the frame's, below the caller's if it gave one."""
    traceparent: str = request.scope[TRACEPARENT]
    return traceparent
