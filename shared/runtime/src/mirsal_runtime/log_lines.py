"""What a log line may hold, and how often: personal data and secrets have no way in."""

import datetime as dt
import logging
import time
from collections.abc import Callable, MutableMapping
from enum import Enum
from typing import Any, Final
from uuid import UUID

import orjson
import structlog
from pydantic import ValidationError

_PLAIN = (str, int, float, bool, type(None), dt.datetime, dt.date, UUID, Enum)
_PERSONAL: Final = frozenset({"name", "email", "phone", "to", "recipient", "address", "lead"})
HIDDEN: Final = "[hidden]"
_LINES_REMEMBERED = 1000


class BurstLog:
    """Log lines of one kind: each of them in quiet times, `per_second` of them in a burst.

    For lines that say that all went well: what is left out is counted, and the first line of the
    next second says how many (`left_out`). A line costs ten times what its counter costs.
    """

    def __init__(
        self,
        log: structlog.typing.FilteringBoundLogger,
        *,
        per_second: int = 50,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._per_second = per_second
        self._clock = clock
        self._second = 0
        self._lines = 0
        self._left_out = 0

    def info(self, event: str, **ids: object) -> None:
        """Log the line, or count it."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines > self._per_second:
            self._left_out += 1
            return
        if self._left_out:
            ids["left_out"], self._left_out = self._left_out, 0
        self._log.info(event, **ids)


class RepetitionFilter(logging.Filter):
    """Lets a library's line through once in `seconds`: aiokafka has 30 a second without Kafka.

    Lines are the same when their texts before formatting are; the next one that comes through
    says how many were left out.
    """

    def __init__(self, seconds: float = 5.0) -> None:
        super().__init__()
        self._seconds = seconds
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is to be written."""
        line = (record.name, str(record.msg))
        since, left_out = self._seen.get(line, (-self._seconds, 0))
        now = time.monotonic()
        if now - since < self._seconds:
            self._seen[line] = (since, left_out + 1)
            return False
        if len(self._seen) > _LINES_REMEMBERED:
            self._seen.clear()
        self._seen[line] = (now, 0)
        if left_out:
            record.msg = f"{record.msg} [{left_out} more like this]"
        return True


def hide_personal_data(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Keep plain values only: a message, a lead or a config becomes the name of its type."""
    for name, value in event.items():
        if name in _PERSONAL:
            event[name] = HIDDEN
        elif type(value) is not str:
            event[name] = _plain(value)
    return event


def faults_of(error: ValidationError) -> str:
    """Where a value is wrong and how; never the value itself: it may be personal, or a secret."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['type']}" for each in faults[:5])


def _plain(value: object) -> object:
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {
            str(key): HIDDEN if key in _PERSONAL else _plain(item) for key, item in value.items()
        }
    return f"<{type(value).__name__}>"


def to_json_bytes(event: object, **_options: object) -> bytes:
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS)


def to_json_text(event: object, **_options: object) -> str:
    return to_json_bytes(event).decode()
