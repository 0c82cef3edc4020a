"""Spans on their way to a collector: what it reads, what a dead one costs, what a kill leaves."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from mirsal_runtime import metrics, telemetry, trace_context
from mirsal_runtime.span_store import KILLED, RING_BYTES, SpanStore
from mirsal_runtime.trace_context import attempt_context, is_sampled, new_traceparent, sampled
from mirsal_runtime.tracing import OtlpTracer, open_tracer
from mirsal_testing.otlp import OtlpReceiver
from pydantic import SecretStr

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01"
UNSAMPLED = PARENT[:-1] + "0"


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as found:
        yield found


def start(endpoint: str, folder: Path, headers: str = "") -> OtlpTracer:
    tracer = open_tracer(
        endpoint,
        service="email-worker",
        instance="worker-7",
        folder=folder,
        headers=SecretStr(headers),
    )
    telemetry._tracers.append(tracer)
    return tracer


@pytest.fixture(autouse=True)
def _without_tracer() -> Iterator[None]:
    yield
    for tracer in telemetry._tracers:
        tracer.close()
    telemetry._tracers.clear()
    trace_context.set_ratio(1.0)


async def test_a_collector_reads_what_was_meant(receiver: OtlpReceiver, tmp_path: Path) -> None:
    start(receiver.url, tmp_path, "authorization=Bearer x,b=c")
    long = "ص" * 9000
    with telemetry.span(
        "outer",
        parent=PARENT,
        kind="server",
        attributes={"n": -3, "part": 0.5, "yes": True, "no": False, "words": long, "": "empty"},
        links=[OTHER],
    ) as outer:
        outer.rename("POST /here")
        outer.set("late", 2**40)
        with telemetry.span("inner", parent=outer.traceparent, kind="client"):
            pass
        with telemetry.span("forgotten", parent=outer.traceparent) as forgotten:
            forgotten.forget()
    with (
        pytest.raises(ValueError, match="personal"),
        telemetry.span("broken", parent=""),
    ):
        raise ValueError("personal words")
    await telemetry.flush()
    inner, whole, broken = receiver.spans
    assert (whole.name, whole.kind, whole.service, whole.instance) == (
        "POST /here",
        "server",
        "email-worker",
        "worker-7",
    )
    assert (whole.trace_id, whole.parent_id) == (PARENT[3:35], PARENT[36:52])
    assert whole.attributes == {
        "n": -3,
        "part": 0.5,
        "yes": True,
        "no": False,
        "words": long,
        "": "empty",
        "late": 2**40,
    }
    assert whole.links == ((OTHER[3:35], OTHER[36:52]),)
    assert (inner.name, inner.kind, inner.parent_id) == ("inner", "client", whole.span_id)
    assert whole.start <= inner.start <= inner.end <= whole.end
    assert abs(whole.end / 1e9 - time.time()) < 60
    assert (broken.error, broken.parent_id) == ("ValueError", "")
    assert broken.attributes == {"error.type": "ValueError"}
    assert not any(b"personal" in body for body in receiver.bodies)
    assert receiver.headers[0]["authorization"] == "Bearer x"
    assert telemetry._tracers == []


async def test_what_is_not_sampled_is_passed_on_and_not_recorded(
    receiver: OtlpReceiver, tmp_path: Path
) -> None:
    start(receiver.url, tmp_path)
    with telemetry.span("quiet", parent=UNSAMPLED) as quiet:
        assert quiet.traceparent == UNSAMPLED
        assert not quiet.is_recorded
    telemetry.note_span("quiet", context=UNSAMPLED, parent="")
    trace_context.set_ratio(0.0)
    with telemetry.span("quiet", parent="") as root:
        assert not is_sampled(root.traceparent)
    await telemetry.flush()
    assert receiver.spans == []


def test_the_ratio_is_kept_and_all_processes_decide_alike() -> None:
    trace_context.set_ratio(0.25)
    made = [new_traceparent() for _ in range(4000)]
    assert 800 < sum(map(is_sampled, made)) < 1200
    below = [each for each in made if int(each[19:35], 16) < 2**62]
    assert [each for each in made if is_sampled(each)] == below
    assert sampled(UNSAMPLED) == PARENT


def test_an_attempt_s_context_follows_from_its_command() -> None:
    first = attempt_context(PARENT, "execution.1")
    assert first == attempt_context(OTHER.replace(OTHER[3:35], PARENT[3:35]), "execution.1")
    assert first[:36] == PARENT[:36]
    assert telemetry.is_traceparent(first)
    assert first != attempt_context(PARENT, "execution.2")


@pytest.mark.parametrize("kind", ["refuses", "black hole", "answers 503"])
async def test_a_dead_collector_costs_nothing_but_the_spans(kind: str, tmp_path: Path) -> None:
    """Nobody waits for it, the log has one line, and what does not fit is counted."""
    hole = socket.create_server(("127.0.0.1", 0), backlog=1)
    with OtlpReceiver(status=503) as busy:
        endpoint = {
            "refuses": "http://127.0.0.1:1",
            "black hole": f"http://127.0.0.1:{hole.getsockname()[1]}",
            "answers 503": busy.url,
        }[kind]
        before = metrics.SPANS_DROPPED.labels("queue_full")._value.get()
        start(endpoint, tmp_path)
        with structlog.testing.capture_logs() as logged:
            begun = time.perf_counter()
            for _ in range(3 * RING_BYTES // 1000):
                with telemetry.span("s", parent=PARENT, attributes={"words": "x" * 800}):
                    pass
            spent = time.perf_counter() - begun
            await asyncio.sleep(1.5)
            async with asyncio.timeout(telemetry.FLUSH_SECONDS + 5):
                await telemetry.flush()
    hole.close()
    # Far below the exporter's time-out, which each of them would have taken.
    assert spent < 5
    assert metrics.SPANS_DROPPED.labels("queue_full")._value.get() > before
    assert [line["event"] for line in logged].count("spans_not_sent") <= 1


async def test_spans_wait_for_a_collector_that_comes_back(tmp_path: Path) -> None:
    with OtlpReceiver(status=503) as receiver:
        start(receiver.url, tmp_path)
        with telemetry.span("patient", parent=PARENT):
            pass
        await asyncio.to_thread(_wait_for_body, receiver)
        receiver.status = 200
        await asyncio.to_thread(receiver.wait_for, bool)
        assert [span.name for span in receiver.spans] == ["patient"]


async def test_refused_spans_are_dropped_and_counted(tmp_path: Path) -> None:
    before = metrics.SPANS_DROPPED.labels("refused")._value.get()
    with OtlpReceiver(status=400) as receiver:
        start(receiver.url, tmp_path)
        with telemetry.span("unwanted", parent=PARENT):
            pass
        await telemetry.flush()
    assert metrics.SPANS_DROPPED.labels("refused")._value.get() == before + 1


KILLED_PROCESS = """
import os, sys
from pathlib import Path
from pydantic import SecretStr
from mirsal_runtime import telemetry
from mirsal_runtime.tracing import open_tracer
telemetry._tracers.append(open_tracer("http://127.0.0.1:1", service="email-worker",
    instance="worker-7", folder=Path(sys.argv[1]), headers=SecretStr("")))
PARENT = sys.argv[2]
with telemetry.span("ended", parent=PARENT):
    pass
telemetry.span("under way", parent=PARENT, attributes={"n": 1})
print("there", flush=True)
sys.stdin.read()
"""


def test_a_successor_sends_what_a_killed_process_left(
    receiver: OtlpReceiver, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED_PROCESS, str(tmp_path), PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        os.kill(process.pid, signal.SIGKILL)
    start(receiver.url, tmp_path)
    asyncio.run(telemetry.flush())
    ended, cut = receiver.spans
    assert (ended.name, ended.error) == ("ended", "")
    assert (cut.name, cut.error, cut.attributes) == (
        "under way",
        KILLED,
        {"n": 1, "error.type": KILLED},
    )
    start(receiver.url, tmp_path)
    asyncio.run(telemetry.flush())
    assert len(receiver.spans) == 2


def test_the_ring_holds_what_fits_across_its_end(tmp_path: Path) -> None:
    store = SpanStore.open(tmp_path, "one")
    span = bytes(range(256)) * 4000
    for _ in range(10):
        assert store.add(span)
        data, count = store.peek()
        assert (data[-len(span) :], count) == (span, 1)
        store.drop(len(data), count)
    while store.add(span):
        pass
    assert RING_BYTES - len(span) < store.waiting_bytes + 16 <= RING_BYTES + 16
    assert SpanStore.open(tmp_path, "one").waiting_bytes == 0, "another has it: in memory alone"
    waiting = len(store)
    store.close()
    assert len(SpanStore.open(tmp_path, "one")) == waiting


def test_a_file_that_makes_no_sense_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "one.spans").write_bytes(os.urandom(5000))
    store = SpanStore.open(tmp_path, "one")
    assert len(store) == 0
    assert store.add(b"span")


def _wait_for_body(receiver: OtlpReceiver) -> None:
    until = time.monotonic() + 10
    while not receiver.bodies and time.monotonic() < until:
        time.sleep(0.02)
