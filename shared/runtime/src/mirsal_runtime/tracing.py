"""Spans recorded by the OpenTelemetry SDK and sent by OTLP/HTTP from a bounded queue."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanContext, TraceFlags
from opentelemetry.trace.status import StatusCode

from mirsal_runtime.telemetry import Span, SpanKind, SpanValue, is_traceparent

QUEUE_SPANS = 4096
EXPORT_SECONDS = 2.0
_KINDS: Mapping[SpanKind, trace.SpanKind] = {
    "internal": trace.SpanKind.INTERNAL,
    "server": trace.SpanKind.SERVER,
    "client": trace.SpanKind.CLIENT,
    "producer": trace.SpanKind.PRODUCER,
    "consumer": trace.SpanKind.CONSUMER,
}


class OtlpTracer:
    """Records spans; what the queue cannot hold, because the collector is away, is dropped."""

    def __init__(
        self,
        endpoint: str,
        service: str,
        instance: str,
        exporter: SpanExporter | None = None,
    ) -> None:
        exporter = exporter or OTLPSpanExporter(
            endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS
        )
        resource = Resource.create({"service.name": service, "service.instance.id": instance})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, max_queue_size=QUEUE_SPANS, schedule_delay_millis=1000)
        )
        self._tracer = self._provider.get_tracer("mirsal")

    def start(
        self,
        name: str,
        *,
        parent: str,
        kind: SpanKind,
        attributes: Mapping[str, SpanValue] | None,
    ) -> AbstractContextManager[Span]:
        """Begin a span below `parent`; it ends with the block."""
        return _RecordedSpan(
            self._tracer.start_span(
                name, context=_context_of(parent), kind=_KINDS[kind], attributes=attributes
            )
        )

    def close(self) -> None:
        """Send what is left; blocks for at most the exporter's time-out or so."""
        self._provider.shutdown()


def _context_of(traceparent: str) -> Context:
    if not is_traceparent(traceparent):
        return Context()
    parent = SpanContext(
        trace_id=int(traceparent[3:35], 16),
        span_id=int(traceparent[36:52], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(traceparent[53:55], 16)),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(parent), Context())


class _RecordedSpan:
    __slots__ = ("_span",)

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        context = self._span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def set(self, name: str, value: SpanValue) -> None:
        self._span.set_attribute(name, value)

    def fail(self, error: BaseException | str) -> None:
        kind = error if isinstance(error, str) else type(error).__name__
        self._span.set_status(StatusCode.ERROR, kind)
        self._span.set_attribute("error.type", kind)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.fail(error)
        self._span.end()
