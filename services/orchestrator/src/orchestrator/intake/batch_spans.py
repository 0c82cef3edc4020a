"""The span of a batch of records: a trace of its own, which links to those of its events."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mirsal_runtime import telemetry
from mirsal_runtime.message_spans import begin_batch
from mirsal_runtime.span_attributes import BATCH, messaging

from orchestrator.intake.records import Arrival, Unreadable

_RECEIVE = {**messaging("receive"), "messaging.consumer.group.name": "orchestrator"}


@contextmanager
def tell_receiving(read: Sequence[Arrival | Unreadable]) -> Iterator[str]:
    """The span's context while the batch is settled; empty where none of its traces is recorded."""
    contexts = (
        [
            each.traceparent
            for each in read
            if isinstance(each, Arrival)
            and telemetry.is_recorded(each.traceparent)
            and telemetry.is_traceparent(each.traceparent)
        ]
        if telemetry.is_tracing()
        else []
    )
    if not contexts:
        yield ""
        return
    attributes = {**_RECEIVE, BATCH: len(read)}
    with begin_batch("receive", "consumer", attributes, contexts) as span:
        token = telemetry.current.set(span.traceparent)
        try:
            yield span.traceparent
        finally:
            telemetry.current.reset(token)
