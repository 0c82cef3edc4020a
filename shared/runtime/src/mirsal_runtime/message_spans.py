"""Spans of batches: what goes together belongs to many traces, and links to them."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from mirsal_runtime import telemetry
from mirsal_runtime.outgoing import Outgoing
from mirsal_runtime.span_attributes import BATCH, messaging
from mirsal_runtime.trace_context import is_sampled, sampled


@contextmanager
def tell_sending(messages: Sequence[Outgoing]) -> Iterator[None]:
    """A span a topic while the messages are sent, if any of their traces is recorded."""
    if not telemetry.is_tracing():
        yield
        return
    by_topic: dict[str, list[str]] = {}
    for message in messages:
        traceparent = _traceparent_of(message)
        if is_sampled(traceparent) and telemetry.is_traceparent(traceparent):
            by_topic.setdefault(message.topic, []).append(traceparent)
    with ExitStack() as spans:
        for topic, contexts in by_topic.items():
            attributes = {**messaging("send", topic), BATCH: len(contexts)}
            spans.enter_context(begin_batch(f"send {topic}", "producer", attributes, contexts))
        yield


def note_receiving(topic: str, group: str, contexts: Iterable[str]) -> None:
    """Record that messages of these traces were received together."""
    links = [each for each in contexts if telemetry.is_traceparent(each)]
    telemetry.note_span(
        f"receive {topic}",
        context=sampled(telemetry.new_traceparent()),
        parent="",
        kind="consumer",
        attributes={
            **messaging("receive", topic),
            BATCH: len(links),
            "messaging.consumer.group.name": group,
        },
        links=links,
    )


@contextmanager
def begin_batch(
    name: str,
    kind: telemetry.SpanKind,
    attributes: dict[str, telemetry.SpanValue],
    contexts: Iterable[str],
    parent: str = "",
) -> Iterator[telemetry.Span]:
    """A span of a batch with links to these contexts; without a parent a trace of its own, which
    is recorded because they are."""
    own = sampled(telemetry.new_traceparent()) if not parent else ""
    with telemetry.span(
        name, parent=parent, kind=kind, attributes=attributes, links=[*contexts], context=own
    ) as span:
        yield span


def _traceparent_of(message: Outgoing) -> str:
    for name, value in message.headers:
        if name == "traceparent":
            return value.decode("ascii", "replace")
    return ""
