"""What events tell of runs: nothing is lost with a process that was killed after its write, and a
run that was not sampled is told of from its failure on."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from mirsal_contracts.commands import RunNode
from mirsal_contracts.controls import ForgetRun
from mirsal_contracts.message import Envelope
from mirsal_contracts.requests import RunRequested
from mirsal_contracts.workflows import Node, RetryPolicy
from mirsal_runtime import telemetry
from mirsal_runtime.trace_context import attempt_context, sampled
from mirsal_runtime.tracing import open_tracer
from mirsal_testing.otlp import OtlpReceiver, Seen
from orchestrator.batch_rehearsal import (
    REQUESTS,
    Desk,
    Record,
    failure,
    record,
    request,
    success,
    timer,
)
from orchestrator.intake.event_spans import STARTED
from orchestrator.rehearsal import draw
from orchestrator.store.runs import Pool
from pydantic import SecretStr

from services.orchestrator.tests.test_privacy import wish

CREATE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = CREATE[:-1] + "0"
REQUESTED, REPORTED, WOKEN = (
    f"process {topic}.v1" for topic in ("executions.requested", "node.statuses", "run.timers")
)


@pytest.fixture
def otlp() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver
    for tracer in telemetry._tracers:
        tracer.close()
    telemetry._tracers.clear()


def tell(otlp: OtlpReceiver, folder: Path) -> None:
    """From here on spans are recorded."""
    telemetry._tracers.append(
        open_tracer(
            otlp.url,
            service="orchestrator",
            instance="orchestrator-1",
            folder=folder,
            headers=SecretStr(""),
        )
    )


def traced(found: Record, traceparent: str) -> Record:
    """A record of a trace."""
    found.headers = [*found.headers, ("traceparent", traceparent.encode())]
    return found


def attempt_of(command: RunNode) -> str:
    return attempt_context(CREATE, command.command_id)


def named(spans: Sequence[Seen], name: str) -> list[Seen]:
    return [span for span in spans if span.name == name]


def begun() -> list[Record]:
    return [record(REQUESTS, request())]


def unstorable() -> list[Record]:
    return [record(REQUESTS, request(lead_id="a\x00b"))]


def unfollowable() -> list[Record]:
    return [record(REQUESTS, request(draw(["a", "b"], "a>b", "b>a")))]


def unreadable() -> list[Record]:
    envelope = Envelope("id", RunRequested.TYPE, "x", str(uuid4()), "w", workflow_id="flow")
    return [Record(REQUESTS, b"{", envelope.to_headers())]


def forgotten() -> list[Record]:
    asked = request()
    return [record(REQUESTS, asked), wish(ForgetRun, asked.run_id)]


@pytest.mark.parametrize("make", [begun, unstorable, unfollowable, unreadable, forgotten])
async def test_a_run_that_was_written_and_not_told_of_is_told_of_by_the_next_process(
    pool: Pool, otlp: OtlpReceiver, tmp_path: Path, make: Callable[[], list[Record]]
) -> None:
    records = make()
    traced(records[0], CREATE)
    await Desk(pool).settle(*records)
    status = await pool.fetchval("SELECT status FROM runs")
    tell(otlp, tmp_path)
    await Desk(pool).settle(*records)
    await telemetry.flush()
    (asked,) = named(otlp.spans, REQUESTED)
    (start,) = named(otlp.spans, STARTED)
    assert (asked.parent_id, start.parent_id) == (CREATE[36:52], asked.span_id)
    assert start.attributes["mirsal.run_id"] == str(await pool.fetchval("SELECT id FROM runs"))
    ended = None if status == "running" else status
    assert (asked.attributes.get("mirsal.run_status"), asked.error or None) == (ended, ended)


@pytest.mark.parametrize("kind", ["permanent", "action_required"])
async def test_an_end_that_was_written_and_not_told_of_is_told_of_by_the_next_process(
    pool: Pool, otlp: OtlpReceiver, tmp_path: Path, kind: str
) -> None:
    desk = Desk(pool)
    await desk.settle(traced(record(REQUESTS, request()), CREATE))
    (command,) = desk.outbox.take()
    status = traced(failure(command, kind), attempt_of(command))
    await desk.settle(status)
    tell(otlp, tmp_path)
    await Desk(pool).settle(status)
    await telemetry.flush()
    (reported,) = named(otlp.spans, REPORTED)
    assert reported.parent_id == attempt_of(command)[36:52]
    assert reported.attributes["mirsal.run_status"] == reported.error
    assert reported.error == {"permanent": "failed", "action_required": "paused"}[kind]
    assert not named(otlp.spans, STARTED)


async def test_a_run_that_was_not_sampled_is_told_of_from_its_failure_on(
    pool: Pool, otlp: OtlpReceiver, tmp_path: Path
) -> None:
    tell(otlp, tmp_path)
    retry = RetryPolicy(attempts=2, backoff_seconds=0.001)
    asked = request(draw(["a", Node(id="b", type="noop", retry=retry), "c"], "a>b", "b>c"))
    desk = Desk(pool)
    await desk.settle(traced(record(REQUESTS, asked), UNSAMPLED))
    (good,) = desk.outbox.sent
    assert dict(good.headers)["traceparent"].decode() == UNSAMPLED
    (first,) = desk.outbox.take()
    await desk.settle(traced(success(first), UNSAMPLED))
    (failing,) = desk.outbox.take()
    # Its connector has told of it, since it failed.
    await desk.settle(traced(failure(failing), attempt_of(failing)))
    due_at = await pool.fetchval("SELECT wake_at FROM runs")
    # The poller sends what is stored, and another process may take it.
    desk = Desk(pool)
    await desk.settle(traced(timer(asked.run_id, due_at), UNSAMPLED))
    for _ in range(2):
        context = dict(desk.outbox.sent[0].headers)["traceparent"].decode()
        (command,) = desk.outbox.take()
        assert context == sampled(context)
        await desk.settle(traced(success(command), attempt_of(command)))
    await telemetry.flush()

    spans = [span for span in otlp.spans if span.trace_id == CREATE[3:35]]
    (root,) = {span.span_id: span for span in spans if not span.parent_id}.values()
    assert (root.name, root.span_id) == (STARTED, UNSAMPLED[36:52])
    assert root.start == root.end == int(asked.requested_at.timestamp() * 1e9)
    assert [span.name for span in spans if span.name.startswith("process")] == [
        REPORTED,
        WOKEN,
        REPORTED,
        REPORTED,
    ]
    (woken,) = named(spans, WOKEN)
    assert woken.parent_id == root.span_id
    assert named(spans, REPORTED)[-1].attributes["mirsal.run_status"] == "succeeded"


async def test_a_run_that_was_not_sampled_and_went_well_is_not_told_of(
    pool: Pool, otlp: OtlpReceiver, tmp_path: Path
) -> None:
    tell(otlp, tmp_path)
    desk = Desk(pool)
    await desk.settle(traced(record(REQUESTS, request(draw(["a"]))), UNSAMPLED))
    (command,) = desk.outbox.take()
    await desk.settle(traced(success(command), UNSAMPLED))
    await telemetry.flush()
    assert await pool.fetchval("SELECT status FROM runs") == "succeeded"
    assert otlp.spans == []
