"""What of a dead letter's content is shown to whom. Pure.

Who may not see personal data sees the ids and times of a message, and its shape; nobody sees what
is called a secret.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

import orjson
from mirsal_contracts.message import HEADER_NAMES
from pydantic import JsonValue

MASK: Final = "***"
_DEEPEST: Final = 100
_SECRET: Final = re.compile(
    r"pass(word|phrase|wd)|secret|token|authorization|credential|private.?key|api.?key|cookie",
    re.IGNORECASE,
)
_PLAIN: Final = frozenset(
    {
        "workspace", "runId", "executionId", "commandId", "workflowId", "nodeId", "leadId",
        "controlId", "letterId", "version", "attempt", "iteration", "connector", "status", "kind",
        "verdict", "deadline", "timeoutSeconds", "retryAfterSeconds", "requestedAt", "startedAt",
        "endedAt", "dueAt",
    }
)  # fmt: skip
"""Members of messages that hold no personal data; only those of the message itself, not of what
is in it."""
_PLAIN_HEADERS: Final = frozenset({*HEADER_NAMES, "ce_specversion", "content-type"})


class Content(NamedTuple):
    """A record's value to be shown: `payload` if it is JSON, else `text`; None where it is hidden.

    `is_masked`: there is more than is shown.
    """

    payload: JsonValue
    text: str | None
    is_masked: bool


def show_value(value: bytes | None, *, whole: bool) -> Content:
    """The value for a caller who may see it `whole`, or may not."""
    if not value:
        return Content(None, None, is_masked=False)
    try:
        parsed: JsonValue = orjson.loads(value)
    except orjson.JSONDecodeError:
        text = value.decode("utf-8", "replace").replace("\0", "\ufffd") if whole else None
        return Content(None, text, is_masked=not whole)
    if whole:
        shown = _without_secrets(parsed, 0)
    elif isinstance(parsed, dict):
        shown = {
            name: inner if name in _PLAIN and _is_scalar(inner) else _masked(inner, 0)
            for name, inner in parsed.items()
        }
    else:
        shown = _masked(parsed, 0)
    return Content(shown, None, is_masked=shown != parsed)


def show_headers(
    headers: Sequence[tuple[str, bytes | None]], *, whole: bool
) -> list[tuple[str, str | None]]:
    """The headers in their order; without `whole`, only the values of our own."""
    return [
        (name, None if value is None else _header(name, value, whole=whole))
        for name, value in headers
    ]


def _header(name: str, value: bytes, *, whole: bool) -> str:
    if _SECRET.search(name) or not (whole or name in _PLAIN_HEADERS):
        return MASK
    return value.decode("utf-8", "replace").replace("\0", "\ufffd")


def _masked(value: JsonValue, depth: int) -> JsonValue:
    if depth > _DEEPEST:
        return MASK
    if isinstance(value, dict):
        return {name: _masked(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner, depth + 1) for inner in value]
    return value if value is None or isinstance(value, bool) else MASK


def _without_secrets(value: JsonValue, depth: int) -> JsonValue:
    if depth > _DEEPEST:
        return MASK
    if isinstance(value, dict):
        return {
            name: MASK if _SECRET.search(name) else _without_secrets(inner, depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(inner, depth + 1) for inner in value]
    return value


def _is_scalar(value: JsonValue) -> bool:
    return not isinstance(value, dict | list)
