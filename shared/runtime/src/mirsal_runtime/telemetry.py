"""A process's logs and traces: set up once, then used by whoever has something to tell."""

import asyncio
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import Final, Protocol, Self

import structlog

from mirsal_runtime import metrics, trace_context
from mirsal_runtime.exemplars import Exemplars
from mirsal_runtime.log_faults import replace_exc_info, tell_library
from mirsal_runtime.log_fields import hide_personal_data
from mirsal_runtime.log_levels import LEVEL, WRAPPER
from mirsal_runtime.log_lines import BurstLog as BurstLog
from mirsal_runtime.log_lines import Bursts, RepetitionFilter, to_json_bytes, to_json_text
from mirsal_runtime.log_lines import faults_of as faults_of
from mirsal_runtime.metric_names import part_of
from mirsal_runtime.pseudonyms import Pseudonyms
from mirsal_runtime.settings import RuntimeSettings
from mirsal_runtime.span_bytes import SpanKind as SpanKind
from mirsal_runtime.span_bytes import SpanValue as SpanValue
from mirsal_runtime.trace_context import child_traceparent as child_traceparent
from mirsal_runtime.trace_context import is_sampled
from mirsal_runtime.trace_context import is_traceparent as is_traceparent
from mirsal_runtime.trace_context import new_traceparent as new_traceparent
from mirsal_runtime.trace_context import trace_id_of as trace_id_of

FLUSH_SECONDS = 2.5
_NOTHING: Final[Mapping[str, SpanValue]] = {}

current: ContextVar[str] = ContextVar("traceparent", default="")
"""The trace context of what is being done; log lines without a `trace_id` get its."""


class Span(Protocol):
    """One timed step of a trace."""

    @property
    def traceparent(self) -> str:
        """What a callee needs to hang its own spans below this one."""

    @property
    def is_recorded(self) -> bool:
        """Whether anybody will see it; if not, nothing need be said of it."""

    def rename(self, name: str) -> None:
        """Give it the name that was not known when it began."""

    def set(self, name: str, value: SpanValue) -> None:
        """Add an attribute."""

    def link(self, traceparent: str) -> None:
        """Say that it has to do with another span, of this trace or another."""

    def forget(self) -> None:
        """Have it not recorded after all."""

    def fail(self, error: BaseException | str) -> None:
        """Mark the span as failed; only the error's type is recorded, texts hold personal data."""


class Tracer(Protocol):
    """What records spans; without one nothing is recorded and trace contexts still flow."""

    def record(
        self,
        name: str,
        *,
        context: str,
        parent: str,
        kind: SpanKind,
        start_ns: int,
        end_ns: int,
        attributes: Mapping[str, SpanValue],
        links: Sequence[str],
        error: str,
    ) -> None: ...
    def begin(
        self,
        name: str,
        *,
        context: str,
        parent: str,
        kind: SpanKind,
        attributes: Mapping[str, SpanValue],
    ) -> tuple[bytes, int]: ...
    def end(
        self,
        begun: tuple[bytes, int],
        name: str,
        attributes: Mapping[str, SpanValue],
        links: Sequence[str],
        error: str,
    ) -> None: ...
    def forget(self, begun: tuple[bytes, int]) -> None: ...
    def close(self) -> None:
        """Send what is left; blocks."""


_tracers: list[Tracer] = []
exemplars = Exemplars()
pseudonyms = Pseudonyms()


def configure(settings: RuntimeSettings, *, service: str) -> None:
    """Set up logs (JSON lines on stderr), metrics and, where an OTLP endpoint is set, traces."""
    metrics.show_only(part_of(service))
    metrics.bound_labels(
        workflows=settings.metrics_workflows, workspaces=settings.metrics_workspaces
    )
    trace_context.set_ratio(settings.trace_ratio)
    pseudonyms.set_key(settings.telemetry_key)
    _configure_logs(settings, service)
    if settings.otlp_endpoint and not _tracers:
        from mirsal_runtime.tracing import open_tracer

        tracer = open_tracer(
            settings.otlp_endpoint,
            service=service,
            instance=settings.instance,
            folder=settings.state_dir / "spans",
            headers=settings.otlp_headers,
        )
        _tracers.append(tracer)


def _configure_logs(settings: RuntimeSettings, service: str) -> None:
    names = {"service": service, "instance": settings.instance}
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        lambda _logger, _method, event: {**event, **names},
        _name_trace,
        replace_exc_info,
        hide_personal_data,
    ]
    structlog.configure(
        processors=[
            Bursts(),
            *shared,
            structlog.processors.JSONRenderer(serializer=to_json_bytes),
        ],
        wrapper_class=WRAPPER,
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RepetitionFilter())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[tell_library, *shared],
            pass_foreign_args=True,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=to_json_text),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], force=True)
    LEVEL.configure(settings)


def _name_trace(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    traceparent = current.get()
    if traceparent and "trace_id" not in event:
        event["trace_id"] = trace_id_of(traceparent)
    return event


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


def is_recorded(traceparent: str) -> bool:
    """Whether spans below this context are recorded here."""
    return bool(_tracers) and is_sampled(traceparent)


def is_tracing() -> bool:
    """Whether any spans are recorded here."""
    return bool(_tracers)


def exemplar_of(traceparent: str) -> dict[str, str] | None:
    """The trace as an observation's exemplar; None where nobody could find it, or there are
    enough of them for now."""
    if _tracers and is_sampled(traceparent) and exemplars.wants_more():
        return {"trace_id": trace_id_of(traceparent)}
    return None


class _UnrecordedSpan:
    """Passes the parent on: nobody would ever see a span of its own."""

    __slots__ = ("_parent",)

    is_recorded = False

    def __init__(self, parent: str) -> None:
        self._parent = parent

    @property
    def traceparent(self) -> str:
        if not self._parent:
            self._parent = new_traceparent()
        return self._parent

    def rename(self, name: str) -> None:
        pass

    def set(self, name: str, value: SpanValue) -> None:
        pass

    def link(self, traceparent: str) -> None:
        pass

    def forget(self) -> None:
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


class _RecordedSpan:
    __slots__ = (
        "_attributes",
        "_begun",
        "_error",
        "_is_wanted",
        "_links",
        "_name",
        "_tracer",
        "traceparent",
    )

    is_recorded = True

    def __init__(
        self, tracer: Tracer, traceparent: str, begun: tuple[bytes, int], links: Sequence[str]
    ) -> None:
        self._tracer = tracer
        self._begun = begun
        self._links = [*links]
        self._name = ""
        self._attributes: dict[str, SpanValue] = {}
        self._error = ""
        self._is_wanted = True
        self.traceparent = traceparent

    def rename(self, name: str) -> None:
        self._name = name

    def set(self, name: str, value: SpanValue) -> None:
        self._attributes[name] = value

    def link(self, traceparent: str) -> None:
        self._links.append(traceparent)

    def forget(self) -> None:
        self._is_wanted = False

    def fail(self, error: BaseException | str) -> None:
        self._error = error if isinstance(error, str) else type(error).__name__

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and not self._error:
            self.fail(error)
        if self._is_wanted:
            self._tracer.end(self._begun, self._name, self._attributes, self._links, self._error)
        else:
            self._tracer.forget(self._begun)


def pass_on(parent: str) -> AbstractContextManager[Span]:
    """A span that nobody records, with the parent's context; a new one for none."""
    return _UnrecordedSpan(parent)


def span(
    name: str,
    *,
    parent: str,
    kind: SpanKind = "internal",
    attributes: Mapping[str, SpanValue] | None = None,
    links: Sequence[str] = (),
    context: str = "",
) -> AbstractContextManager[Span]:
    """Time a step below `parent` (a traceparent; empty begins a trace).

    Costs next to nothing while nothing is recorded. An exception that leaves the block marks
    the span as failed. `context`: the span's own, where it was chosen before.
    """
    if not _tracers or (parent and not is_sampled(parent)):
        return _UnrecordedSpan(parent)
    own = context or (child_traceparent(parent) if parent else new_traceparent())
    if not is_sampled(own):
        return _UnrecordedSpan(parent or own)
    tracer = _tracers[0]
    begun = tracer.begin(
        name, context=own, parent=parent, kind=kind, attributes=attributes or _NOTHING
    )
    return _RecordedSpan(tracer, own, begun, links)


def note_span(
    name: str,
    *,
    context: str,
    parent: str,
    kind: SpanKind = "internal",
    start_ns: int = 0,
    end_ns: int = 0,
    attributes: Mapping[str, SpanValue] = _NOTHING,
    links: Sequence[str] = (),
    error: str = "",
) -> None:
    """Record a span that ended, now unless it is said when, under a context that was chosen
    before; for one without a start, of no length. Does nothing for a context that is not
    sampled."""
    if _tracers and is_sampled(context):
        now = time.time_ns()
        _tracers[0].record(
            name,
            context=context,
            parent=parent,
            kind=kind,
            start_ns=start_ns or now,
            end_ns=end_ns or now,
            attributes=attributes,
            links=links,
            error=error,
        )
