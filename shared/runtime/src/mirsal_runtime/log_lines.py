"""How often a log line is written, and how; what it may hold is in `mirsal_runtime.log_fields`."""

import logging
import time
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import orjson
import structlog
from pydantic import ValidationError

PER_SECOND: Final = 50
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
        per_second: int = PER_SECOND,
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


class Bursts:
    """Of lines of one name `per_second` in a second are written; the first after that says how
    many were not (`left_out`). For all lines, so also for those that say that something failed.
    """

    def __init__(
        self, per_second: int = PER_SECOND, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._clock = clock
        self._second = 0
        self._lines: dict[object, int] = {}
        self._left_out: dict[object, int] = {}

    def __call__(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """The line, or `structlog.DropEvent`."""
        name = event.get("event")
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._lines.clear()
        lines = self._lines[name] = self._lines.get(name, 0) + 1
        if lines > self._per_second:
            self._left_out[name] = self._left_out.get(name, 0) + 1
            raise structlog.DropEvent
        left_out = self._left_out.pop(name, 0)
        if left_out:
            event["left_out"] = event.get("left_out", 0) + left_out
        return event


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


def faults_of(error: ValidationError) -> str:
    """Where a value is wrong and how; never the value itself: it may be personal, or a secret."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['type']}" for each in faults[:5])


def to_json_bytes(event: object, **_options: object) -> bytes:
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS)


def to_json_text(event: object, **_options: object) -> str:
    return to_json_bytes(event).decode()
