"""Answers of endpoints as HTTP responses, and what requests carry in their headers."""

from collections.abc import Mapping
from hashlib import sha256
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response

from gateway.frame import TRACEPARENT
from gateway.repeats import HEADER, Once
from gateway.runs.launch import Call, check_key
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


def once_of(request: Request, route: str, *says: bytes) -> Once:
    """The request as a call that makes something; `says` is what it asks for. Raises a 422
    `Problem` for an Idempotency-Key that cannot be one."""
    key = request.headers.get(HEADER)
    digest = sha256(b"\0".join(says)).digest()
    return Once(
        caller_of(request).workspace,
        route,
        None if key is None else check_key(key),
        digest,
        uuid4(),
    )


def traceparent_of(request: Request) -> str:
    """The context of the call's own span: the frame's, below the caller's if it gave one."""
    traceparent: str = request.scope[TRACEPARENT]
    return traceparent
