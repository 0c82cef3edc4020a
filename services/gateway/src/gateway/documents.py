"""What routes say of themselves in the OpenAPI document: bodies, answers, refusals, examples."""

from collections.abc import Mapping
from typing import Any, Final

import orjson
from pydantic import BaseModel, Field

from gateway.problems import MEDIA_TYPE
from gateway.shapes import Answer

NAMED_MODELS: Final[set[type[BaseModel]]] = set()
"""Models of bodies that endpoints read by themselves: FastAPI does not see them."""


class FaultEntry(Answer):
    """One thing that is wrong: `pointer` into the body, or the `parameter`'s name."""

    pointer: str | None = None
    parameter: str | None = None
    message: str


class ProblemDetails(Answer):
    """A refusal (RFC 9457). `error` is a short text that does not change."""

    error: str
    type: str
    title: str
    status: int
    detail: str
    errors: list[FaultEntry] | None = Field(default=None)
    retry_after: int | None = None


NAMED_MODELS.add(ProblemDetails)

_TEXTS: Final[Mapping[int, str]] = {
    400: "The request broke off.",
    401: "No key, or one that is not known.",
    403: "The caller's role or scopes do not allow this, or the workflow does not exist, or "
    "belongs to another workspace: the answer does not tell which.",
    404: "Something else that is named does not exist; `errors` says which.",
    405: "The path exists, the method does not.",
    408: "The body did not arrive in time.",
    409: "It does not fit how things are; `detail` says how they are.",
    412: "The newest version is another one than `If-Match` names; `detail` says which.",
    413: "The body, or what would have to be published, is too large.",
    415: "The body's media type is not one of those that are read.",
    422: "The body or a parameter is wrong; `errors` says where.",
    429: "Over the rate limit; or, as `too-many-runs`, a start or retry beyond the runs that the "
    "workspace may have under way.",
    503: "A server is away: nothing was promised. Try again after Retry-After seconds.",
}
_EXAMPLES: Final[Mapping[int, tuple[str, str]]] = {
    401: ("invalid-api-key", "Invalid API key"),
    403: ("access-denied", "Access denied"),
    404: ("not-found", "Not found"),
    409: ("conflict", "Conflict"),
    412: ("precondition-failed", "Precondition failed"),
    413: ("too-large", "Too large"),
    422: ("invalid-request", "Invalid request"),
    429: ("too-many-requests", "Too many automation requests"),
    503: ("unavailable", "Temporarily unavailable"),
}
_SECONDS: Final = {"schema": {"type": "integer", "minimum": 1}}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These answers, and those that every guarded call has: 401, 403, 422, 429 and 503."""
    return {status: _refusal(status) for status in sorted({401, 403, 422, 429, 503, *statuses})}


def bare_refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These answers alone, for calls without a key."""
    return {status: _refusal(status) for status in sorted(statuses)}


def takes(
    model: type[BaseModel], example: Any, *, more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """`openapi_extra` of a route whose endpoint reads the body by itself."""
    NAMED_MODELS.add(model)
    examples = {
        name: {"value": keep_nulls(value)}
        for name, value in {"example": example, **(more or {})}.items()
    }
    content = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}, "examples": examples}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def gives(
    model: type[BaseModel], example: Any, *, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """One entry of a route's `responses`."""
    entry: dict[str, Any] = {
        "model": model,
        "content": {"application/json": {"example": keep_nulls(example)}},
    }
    if headers:
        entry["headers"] = {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in headers.items()
        }
    return entry


def keep_nulls(example: Any) -> str:
    """The example as FastAPI lets it through: of a value it would leave out what is null."""
    return orjson.dumps(example).decode()


def restore_nulls(content: dict[str, Any]) -> None:
    """Put the examples of JSON content back to what they were before `keep_nulls`."""
    if isinstance(content.get("example"), str):
        content["example"] = orjson.loads(content["example"])
    for each in content.get("examples", {}).values():
        if isinstance(each["value"], str):
            each["value"] = orjson.loads(each["value"])


def _refusal(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    content: dict[str, Any] = {"schema": schema}
    if status in _EXAMPLES:
        kind, error = _EXAMPLES[status]
        content["example"] = {
            "error": error,
            "type": f"urn:mirsal:problem:{kind}",
            "title": error,
            "status": status,
            "detail": _TEXTS[status],
            **({"retryAfter": 60} if status == 429 else {}),
            **(
                {"errors": [{"pointer": "/nodes/0/type", "message": "is not a type of node"}]}
                if status == 422
                else {}
            ),
        }
    entry: dict[str, Any] = {"description": _TEXTS[status], "content": {MEDIA_TYPE: content}}
    if status in {429, 503}:
        entry["headers"] = {"Retry-After": {"description": "Seconds.", **_SECONDS}}
    return entry
