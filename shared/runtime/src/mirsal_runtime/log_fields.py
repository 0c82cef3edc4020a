"""The fields that log lines have, and of which type each is: what is of no type has no way in.

A value that is not of its field's type is hidden, and so is a field that is not in this list: a
lead, a recipient or an exception's text has no type here. docs/TELEMETRY.md says which line has
which fields.
"""

import re
from collections.abc import Callable, Mapping, MutableMapping
from enum import Enum
from typing import Any, Final
from uuid import UUID

from mirsal_runtime.log_faults import name_fault

HIDDEN: Final = "[hidden]"
_WORD: Final = re.compile(r"[\w.:/<>=%+-]{0,200}")
_PSEUDONYM: Final = re.compile(r"(?:[0-9a-f]{16})?")
_PLACE: Final = re.compile(r"[^@]{1,300}:\d+ [\w<>.]+")


def _as_word(value: object) -> object:
    """A name or code of ours, or an id: without blanks and without @."""
    if value is None or isinstance(value, bool | UUID):
        return value
    text = value.value if isinstance(value, Enum) else value
    return text if isinstance(text, str) and _WORD.fullmatch(text) else HIDDEN


def _as_number(value: object) -> object:
    return value if isinstance(value, int | float) else HIDDEN


def _as_fault(value: object) -> object:
    return name_fault(value) if isinstance(value, BaseException) else HIDDEN


def _as_pseudonym(value: object) -> object:
    return value if isinstance(value, str) and _PSEUDONYM.fullmatch(value) else HIDDEN


def _as_place(value: object) -> object:
    return value if isinstance(value, str) and _PLACE.fullmatch(value) else HIDDEN


Type = Callable[[object], object]
_TYPES: Final[Mapping[Type, str]] = {
    # What it is, what was decided and why.
    _as_word: (
        "code reason kind status outcome scope wall to_level signal connector topic role revision "
        "servers "
        # Whose and which.
        "workspace workflow_id run_id run_ids execution_id job_id endpoint_id credential_id "
        "spreadsheet_id holder lies_at key_ids trace_id head"
    ),
    _as_number: (
        "age answered attempt count entries executions free happened jobs journalled kept left "
        "left_out letters offset partition partitions pause_seconds per_minute port records "
        "refused rows seconds seq spans http_status stored unconfirmed"
    ),
    _as_fault: "error",
    _as_pseudonym: "lead",
    _as_place: "at",
}
FIELDS: Final[Mapping[str, Type]] = {
    name: kind for kind, names in _TYPES.items() for name in names.split()
}
# Added by the process itself, on its way to the processor below.
_OWN: Final = frozenset({"event", "level", "timestamp", "service", "instance", "logger"})


def hide_personal_data(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Keep what is of its field's type; a list's items and a mapping's values each by itself."""
    for name, value in event.items():
        if name in _OWN or name.startswith("_"):
            continue
        kind = FIELDS.get(name)
        event[name] = HIDDEN if kind is None else _typed(kind, value)
    return event


def _typed(kind: Type, value: object) -> object:
    if isinstance(value, list | tuple | set | frozenset):
        return [kind(item) for item in value]
    if isinstance(value, dict):
        return {str(_as_word(key)): kind(item) for key, item in value.items()}
    return kind(value)
