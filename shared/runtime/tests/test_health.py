"""Health over HTTP, and the frame around a process."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

import httpx
import pytest
from mirsal_runtime import metrics
from mirsal_runtime.health import HealthServer, gather_reasons
from mirsal_runtime.settings import RuntimeSettings
from prometheus_client.parser import text_string_to_metric_families


class Process:
    """A process's checks, to be changed by tests."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.dead: str | None = None
        self.hangs = False

    async def check(self) -> str | None:
        if self.hangs:
            await asyncio.Event().wait()
        return self.reason


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
async def client(process: Process) -> AsyncIterator[httpx.AsyncClient]:
    server = HealthServer(
        RuntimeSettings(), checks={"kafka": process.check}, alive=lambda: process.dead
    )
    port = await server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as opened:
        yield opened
    await server.stop()


async def test_well_process_is_alive_and_ready(client: httpx.AsyncClient) -> None:
    for path in ("/health", "/ready"):
        assert (await client.get(path)).status_code == 200


async def test_reasons_are_told(client: httpx.AsyncClient, process: Process) -> None:
    process.reason = "away"
    answer = await client.get("/ready")
    assert (answer.status_code, answer.json()["reasons"]) == (503, {"kafka": "away"})
    assert (await client.get("/health")).status_code == 200
    process.dead = "the loop stands still"
    answer = await client.get("/health")
    assert (answer.status_code, answer.json()["reason"]) == (503, "the loop stands still")


async def test_check_that_hangs_or_fails_is_a_reason() -> None:
    process = Process()
    process.hangs = True

    async def fails() -> str | None:
        raise LookupError("lost")

    found = await gather_reasons({"slow": process.check, "broken": fails}, seconds=0.05)
    assert found == {"slow": "no answer within 0.05 s", "broken": "LookupError"}


async def test_metrics_have_the_product_s_names(client: httpx.AsyncClient) -> None:
    metrics.EXECUTIONS.labels("email", "succeeded", "w").inc()
    metrics.EXECUTION_SECONDS.labels("email", "w").observe(0.2)
    metrics.QUEUE_SIZE.set(3)
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = {each.name: each for each in text_string_to_metric_families(answer.text)}
    labels = {"connector_type": "email", "status": "succeeded", "workflow_id": "w"}
    executions = families["automation_executions"].samples
    assert [(each.name, each.labels) for each in executions] == [
        ("automation_executions_total", labels)
    ]
    assert families["automation_execution_duration_seconds"].type == "histogram"
    assert families["automation_queue_size"].samples[0].value == 3


MAIN = """
import asyncio, sys
from mirsal_runtime import telemetry
from mirsal_runtime.process import run_process
from mirsal_runtime.settings import RuntimeSettings

async def main(stop):
    print("up", flush=True)
    if "fail" in sys.argv:
        raise LookupError("lost")
    await stop.wait()
    if "slow" in sys.argv:
        print("ending", flush=True)
        await asyncio.sleep(60)

telemetry.configure(RuntimeSettings(), service="test")
run_process(main)
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_first_signal_ends_in_good_order(number: signal.Signals) -> None:
    with start() as process:
        assert read_line(process) == "up"
        process.send_signal(number)
        assert process.wait(10) == 0


def test_second_signal_ends_at_once() -> None:
    with start("slow") as process:
        try:
            assert read_line(process) == "up"
            process.terminate()
            assert read_line(process) == "ending"
            process.terminate()
            assert process.wait(10) == -signal.SIGTERM
        finally:
            process.kill()


def test_fault_is_logged_and_the_exit_code_is_one() -> None:
    with start("fail") as process:
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    (line,) = errors.splitlines()
    assert json.loads(line)["event"] == "process_failed"
    assert json.loads(line)["error"] == "LookupError"
    assert "lost" not in line
