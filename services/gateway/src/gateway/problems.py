"""Refusals as problem details (RFC 9457), and nothing that decides when to refuse."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson
from pydantic import JsonValue
from starlette.responses import Response

from gateway.last_response import LastResponse

MEDIA_TYPE = "application/problem+json"


class Fault(NamedTuple):
    """One thing that is wrong, and where.

    `pointer` is a JSON pointer (RFC 6901) into the body; `parameter` names a header, a query or
    a path parameter instead.
    """

    message: str
    pointer: str = ""
    parameter: str = ""

    def to_json(self) -> dict[str, str]:
        """As it stands in `errors`."""
        if self.parameter:
            return {"parameter": self.parameter, "message": self.message}
        return {"pointer": self.pointer, "message": self.message}


class Problem(Exception):
    """Ends a request with `status`. `error` is the text that frontends match on.

    `is_last` ends the connection, for a body that nobody will read.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        error: str,
        detail: str,
        *,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, JsonValue] | None = None,
        is_last: bool = False,
    ) -> None:
        super().__init__(detail)
        self.is_last = is_last
        self.status = status
        self.kind = kind
        self.error = error
        self.detail = detail
        self.faults = faults
        self.headers = dict(headers or {})
        self.members = dict(members or {})

    def to_response(self) -> Response:
        """The answer."""
        body: dict[str, object] = {
            "error": self.error,
            "type": f"urn:mirsal:problem:{self.kind}",
            "title": self.error,
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }
        if self.faults:
            body["errors"] = [fault.to_json() for fault in self.faults]
        kind = LastResponse if self.is_last else Response
        return kind(orjson.dumps(body), self.status, headers=self.headers, media_type=MEDIA_TYPE)


def invalid_key(*, with_tokens: bool = False) -> Problem:
    """401: no key or token, or one that is not (or no longer) good: the answer does not say why."""
    bearer = ', Bearer realm="mirsal"' if with_tokens else ""
    return Problem(
        401,
        "invalid-api-key",
        "Invalid API key",
        "Send a valid key in the header x-api-key"
        + (", or a valid token as Authorization: Bearer." if with_tokens else "."),
        headers={"WWW-Authenticate": 'ApiKey realm="mirsal"' + bearer},
    )


def access_denied() -> Problem:
    """403: what the caller's role does not allow, or a workflow that is foreign or missing.

    The answer is the same to the byte, so that it does not tell which.
    """
    return Problem(403, "access-denied", "Access denied", "The caller may not do this.")


def not_found(detail: str, faults: Sequence[Fault] = ()) -> Problem:
    """404."""
    return Problem(404, "not-found", "Not found", detail, faults=faults)


def conflict(detail: str, faults: Sequence[Fault] = ()) -> Problem:
    """409: what is asked for does not fit how things are."""
    return Problem(409, "conflict", "Conflict", detail, faults=faults)


def moved_on(version: int) -> Problem:
    """412: the newest version is not the one that the caller knows; 0 for none."""
    detail = f"The newest version is {version}." if version else "There is no such workflow yet."
    headers = {"ETag": f'"{version}"'} if version else None
    return Problem(412, "precondition-failed", "Precondition failed", detail, headers=headers)


def invalid(faults: Sequence[Fault]) -> Problem:
    """422: the request was understood and says something impossible."""
    detail = faults[0].message if len(faults) == 1 else f"{len(faults)} things are wrong."
    return Problem(422, "invalid-request", "Invalid request", detail, faults=faults)


def too_large(detail: str, *, is_last: bool = False) -> Problem:
    """413."""
    return Problem(413, "too-large", "Too large", detail, is_last=is_last)


def unavailable(
    detail: str, *, retry_after: int = 1, members: Mapping[str, JsonValue] | None = None
) -> Problem:
    """503: try again after `retry_after` seconds."""
    return Problem(
        503,
        "unavailable",
        "Temporarily unavailable",
        detail,
        headers={"Retry-After": str(retry_after)},
        members=members,
    )
