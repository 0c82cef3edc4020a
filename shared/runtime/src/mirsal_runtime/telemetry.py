"""Logs and traces. Personal data has no way in: only plain values of known kinds are logged."""

import asyncio
import datetime as dt
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from enum import Enum
from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self, TypeAlias
from uuid import UUID

import orjson
import structlog
from pydantic import ValidationError

from mirsal_runtime import metrics
from mirsal_runtime.metric_names import part_of
from mirsal_runtime.settings import RuntimeSettings

SpanKind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]
SpanValue: TypeAlias = str | int | float | bool
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_PLAIN = (str, int, float, bool, type(None), dt.datetime, dt.date, UUID, Enum)
_PERSONAL: Final = frozenset({"name", "email", "phone", "to", "recipient", "address", "lead"})
HIDDEN: Final = "[hidden]"
FLUSH_SECONDS = 2.0
_LINES_REMEMBERED = 1000


class Span(Protocol):
    """One timed step of a trace."""

    @property
    def traceparent(self) -> str:
        """What a callee needs to hang its own spans below this one."""

    def set(self, name: str, value: SpanValue) -> None:
        """Add an attribute."""

    def fail(self, error: BaseException | str) -> None:
        """Mark the span as failed; only the error's type is recorded, texts hold personal data."""


class Tracer(Protocol):
    """What records spans; without one nothing is recorded and trace contexts still flow."""

    def start(
        self,
        name: str,
        *,
        parent: str,
        kind: SpanKind,
        attributes: Mapping[str, SpanValue] | None,
    ) -> AbstractContextManager[Span]:
        """Begin a span below `parent`."""

    def close(self) -> None:
        """Send what is left; blocks."""


_tracers: list[Tracer] = []


def configure(settings: RuntimeSettings, *, service: str) -> None:
    """Set up logs (JSON lines on stderr) and, where an OTLP endpoint is set, traces."""
    metrics.show_only(part_of(service))
    metrics.bound_labels(
        workflows=settings.metrics_workflows, workspaces=settings.metrics_workspaces
    )
    level = logging.getLevelName(settings.log_level.upper())
    if not isinstance(level, int):
        level = logging.INFO
    names = {"service": service, "instance": settings.instance}
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        lambda _logger, _method, event: {**event, **names},
        structlog.processors.format_exc_info,
        hide_personal_data,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_to_json_bytes)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RepetitionFilter())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_to_json_text),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    if settings.otlp_endpoint and not _tracers:
        # The SDK costs 0.2 s to import, so only who exports imports it.
        from mirsal_runtime.tracing import OtlpTracer

        _tracers.append(OtlpTracer(settings.otlp_endpoint, service, settings.instance))


async def flush() -> None:
    """Send the spans that are left, for at most a few seconds; for the end of a process."""
    if _tracers:
        tracer = _tracers.pop()
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await asyncio.to_thread(tracer.close)
        except TimeoutError:
            structlog.get_logger(__name__).warning("spans_not_flushed")


def bound(**ids: SpanValue) -> AbstractContextManager[object]:
    """Have all log lines within carry these ids (run_id, execution_id, lead_id, trace_id, ...)."""
    return structlog.contextvars.bound_contextvars(**ids)


def new_traceparent() -> str:
    """A new trace, sampled, as a W3C `traceparent`."""
    text = os.urandom(24).hex()
    return f"00-{text[:32]}-{text[32:]}-01"


def is_traceparent(text: str) -> bool:
    """Whether `text` is a W3C `traceparent` of version 00."""
    return _TRACEPARENT.fullmatch(text) is not None


def child_traceparent(parent: str) -> str:
    """Another span of the same trace; a new trace if `parent` is not a traceparent."""
    if not is_traceparent(parent):
        return new_traceparent()
    return f"{parent[:36]}{os.urandom(8).hex()}{parent[52:]}"


def trace_id_of(traceparent: str) -> str:
    """The trace's id, for log lines and rows; empty if there is none."""
    return traceparent[3:35] if is_traceparent(traceparent) else ""


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


class _UnrecordedSpan:
    """Passes the parent on: nobody would ever see a span of its own."""

    __slots__ = ("_parent",)

    def __init__(self, parent: str) -> None:
        self._parent = parent

    @property
    def traceparent(self) -> str:
        if not self._parent:
            self._parent = new_traceparent()
        return self._parent

    def set(self, name: str, value: SpanValue) -> None:
        pass

    def fail(self, error: BaseException | str) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass


def span(
    name: str,
    *,
    parent: str,
    kind: SpanKind = "internal",
    attributes: Mapping[str, SpanValue] | None = None,
) -> AbstractContextManager[Span]:
    """Time a step below `parent` (a traceparent; empty begins a trace).

    Costs next to nothing while nothing is recorded. An exception that leaves the block marks
    the span as failed.
    """
    if not _tracers:
        return _UnrecordedSpan(parent)
    return _tracers[0].start(name, parent=parent, kind=kind, attributes=attributes)


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


def _to_json_bytes(event: object, **_options: object) -> bytes:
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS)


def _to_json_text(event: object, **_options: object) -> str:
    return _to_json_bytes(event).decode()
