"""The gateway as a process: shared port, signals, kills, and bodies that never end."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil
import pytest
from gateway.bodies import BODY_BYTES
from mirsal_testing.otlp import OtlpReceiver
from mirsal_testing.servers.apart import run_apart

from services.gateway.tests.conftest import Gateway, MakeSettings
from services.gateway.tests.processes import Process, free_port, run_gateway

RUN = "/api/automation/workflow/welcome/run"
BODY = b'{"leadId": "ahmed"}'
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def process(make_settings: MakeSettings) -> Iterator[Process]:
    """A gateway that tests share which do not end it."""
    started = Process(make_settings(), free_port())
    run_apart(started.wait_until_ready())
    yield started
    started.end()


class Raw(NamedTuple):
    """A connection on which a test writes what no client would."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read_answer(self, seconds: float = 20) -> bytes:
        """All that comes until the connection ends."""
        async with asyncio.timeout(seconds):
            return await self.reader.read()


@asynccontextmanager
async def connect(process: Process) -> AsyncIterator[Raw]:
    """A new connection to the gateway."""
    raw = Raw(*await asyncio.open_connection("127.0.0.1", process.port))
    try:
        yield raw
    finally:
        raw.writer.close()
        with suppress(OSError):
            await raw.writer.wait_closed()


def head(gateway: Gateway, *more: str) -> bytes:
    """A request line and headers of a start."""
    lines = [f"POST {RUN} HTTP/1.1", "host: gateway", f"x-api-key: {gateway.key}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


async def test_killed_gateways_lose_no_start(gateway: Gateway) -> None:
    """Two processes share a port; one at a time is killed while calls come in."""
    await gateway.put_welcome()
    port = free_port()
    accepted: dict[str, str] = {}
    done = asyncio.Event()

    async def start_runs(name: int) -> None:
        number = 0
        async with httpx.AsyncClient(timeout=10) as client:
            while not done.is_set():
                number += 1
                key = f"{name}-{number}"
                accepted[key] = await _start_surely(client, port, gateway.key, key)

    async with AsyncExitStack() as stack:
        processes = [
            await stack.enter_async_context(run_gateway(gateway.settings, port)) for _ in range(2)
        ]
        callers = [asyncio.create_task(start_runs(name)) for name in range(6)]
        for victim in range(2):
            await asyncio.sleep(0.7)
            before = len(accepted)
            processes[victim].signal(signal.SIGKILL)
            assert await processes[victim].wait() == -signal.SIGKILL
            processes.append(await stack.enter_async_context(run_gateway(gateway.settings, port)))
            assert len(accepted) > before, "the other gateway served nobody"
        done.set()
        await asyncio.gather(*callers)
    assert len(set(accepted.values())) == len(accepted) > 50
    found = await gateway.find_requests(*accepted.values())
    assert {each.request.run_id for each in found} == set(accepted.values())


async def _start_surely(client: httpx.AsyncClient, port: int, api_key: str, key: str) -> str:
    """Start a run as our clients do: again with the same key until there is an answer."""
    url = f"http://127.0.0.1:{port}{RUN}"
    headers = {"x-api-key": api_key, "idempotency-key": key}
    for _ in range(100):
        try:
            answer = await client.post(url, json={"leadId": "ahmed"}, headers=headers)
        except httpx.TransportError:
            await asyncio.sleep(0.02)
            continue
        assert answer.status_code in {202, 503}, answer.text
        if answer.status_code == 202:
            run_id: str = answer.json()["runId"]
            return run_id
    raise AssertionError("no answer in 100 tries")


async def test_the_next_gateway_tells_of_the_calls_that_a_killed_one_had(
    gateway: Gateway, tmp_path: Path
) -> None:
    trace_id = "5" * 32
    length = f"content-length: {len(BODY)}"
    asked = head(gateway, length, f"traceparent: 00-{trace_id}-{'6' * 16}-01")
    with OtlpReceiver() as otlp:
        told = {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url, "MIRSAL_STATE_DIR": str(tmp_path)}
        killed = run_gateway(gateway.settings, free_port(), **told)
        async with killed as process, connect(process) as slow:
            slow.writer.write(asked + BODY[:5])
            await slow.writer.drain()
            await asyncio.sleep(0.3)
            process.signal(signal.SIGKILL)
            assert await process.wait() == -signal.SIGKILL
        assert trace_id not in otlp.traces()
        async with run_gateway(gateway.settings, free_port(), **told):
            await asyncio.to_thread(
                otlp.wait_for, lambda spans: trace_id in {span.trace_id for span in spans}
            )
        found = [(span.service, span.error) for span in otlp.traces()[trace_id]]
    assert found == [("gateway", "process_killed")]


async def test_sigterm_finishes_what_is_under_way(gateway: Gateway) -> None:
    await gateway.put_welcome()
    async with run_gateway(gateway.settings, free_port()) as process, connect(process) as slow:
        slow.writer.write(head(gateway, f"content-length: {len(BODY)}") + BODY[:5])
        await slow.writer.drain()
        await asyncio.sleep(0.3)
        process.signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", process.port)
        slow.writer.write(BODY[5:])
        answer = await slow.read_answer()
        assert answer.startswith(b"HTTP/1.1 202"), answer
        assert await process.wait() == 0


async def test_metrics_may_have_a_port_of_their_own(gateway: Gateway) -> None:
    metrics_port = free_port()
    async with (
        run_gateway(
            gateway.settings, free_port(), MIRSAL_METRICS_PORT=str(metrics_port)
        ) as process,
        httpx.AsyncClient() as client,
    ):
        moved = await client.get(f"http://127.0.0.1:{metrics_port}/api/automation/metrics")
        assert moved.status_code == 200
        assert "automation_executions_total" in moved.text
        gone = await client.get(f"{process.url}/api/automation/metrics")
        assert gone.status_code == 404
        own = await client.get(f"http://127.0.0.1:{process.health_port}/metrics")
        assert 'mirsal_request_seconds_count{method="GET"' in own.text


async def test_a_forwarded_address_counts_only_from_a_trusted_proxy(gateway: Gateway) -> None:
    settings = gateway.settings.model_copy(update={"rate_limit_per_minute": 7})
    headers = {"x-api-key": gateway.key, "x-forwarded-for": "203.0.113.9"}
    left, recorded = {}, {}
    for trusted in ("", "127.0.0.1"):
        async with (
            run_gateway(settings, free_port(), MIRSAL_TRUSTED_PROXIES=trusted) as process,
            httpx.AsyncClient() as client,
        ):
            url = f"{process.url}/api/automation/leads"
            own = await client.get(url, headers={"x-api-key": gateway.key})
            other = await client.get(url, headers=headers)
            for made_up in ("one", "x" * 9_000):
                headers["x-forwarded-for"] = made_up
                last = await client.get(url, headers=headers)
            assert int(last.headers["ratelimit-remaining"]) == (5 if trusted else 3)
            headers["x-forwarded-for"] = "203.0.113.9"
            left[trusted] = [int(each.headers["ratelimit-remaining"]) for each in (own, other)]
        await gateway.services.trail.seal()
        found = await gateway.sql.fetch(
            "SELECT DISTINCT address FROM gateway.audit_log "
            "WHERE workspace = $1 AND action = 'leads.listed'",
            gateway.workspace,
        )
        recorded[trusted] = {row["address"] for row in found}
    told = {"127.0.0.1", "203.0.113.9", "unknown"}
    assert recorded == {"": {"127.0.0.1"}, "127.0.0.1": told}
    assert left[""] == [6, 5]
    assert left["127.0.0.1"] == [2, 6]


async def test_a_gigabyte_is_refused_at_once_and_not_read(
    gateway: Gateway, process: Process
) -> None:
    await gateway.put_welcome()
    memory = psutil.Process(process.pid).memory_info
    await _expect_service(process, gateway)
    before = memory().rss
    async with connect(process) as declared:
        declared.writer.write(head(gateway, f"content-length: {1024 * MEGABYTE}"))
        assert (await declared.read_answer()).startswith(b"HTTP/1.1 413")
    sent = 0
    async with connect(process) as chunked:
        chunked.writer.write(head(gateway, "transfer-encoding: chunked"))
        chunk = b"%x\r\n%b\r\n" % (MEGABYTE, b"x" * MEGABYTE)
        with suppress(OSError):
            while sent < 1024 * MEGABYTE and not chunked.reader.at_eof():
                chunked.writer.write(chunk)
                await chunked.writer.drain()
                await asyncio.sleep(0)
                sent += MEGABYTE
        with suppress(OSError):
            assert (await chunked.read_answer()).startswith(b"HTTP/1.1 413")
    assert sent < 128 * MEGABYTE, "the gateway read on"
    async with httpx.AsyncClient(headers={"x-api-key": gateway.key}) as client:
        ten = await client.post(f"{process.url}{RUN}", content=b"x" * 10 * MEGABYTE)
        assert ten.status_code == 413
        assert ten.json()["status"] == 413
    await _expect_service(process, gateway)
    assert memory().rss - before < 20 * MEGABYTE


async def test_deep_and_wide_json_is_refused_and_costs_little(
    gateway: Gateway, process: Process
) -> None:
    await gateway.put_welcome()
    wide = b"{" + b",".join(b'"k%d":1' % number for number in range(90_000)) + b"}"
    memory = psutil.Process(process.pid).memory_info
    await _expect_service(process, gateway)
    before = memory().rss
    async with httpx.AsyncClient(headers={"x-api-key": gateway.key}) as client:
        for body in (b"[" * BODY_BYTES, b'{"a":' * 10_000, b"[[],[" * 200_000, wide):
            answer = await client.post(f"{process.url}{RUN}", content=body)
            assert answer.status_code == 422
    assert memory().rss - before < 40 * MEGABYTE


async def _expect_service(process: Process, gateway: Gateway) -> None:
    async with httpx.AsyncClient(headers={"x-api-key": gateway.key}) as client:
        answer = await client.post(f"{process.url}{RUN}", json={"leadId": "ahmed"})
        assert answer.status_code == 202


async def test_what_comes_too_slowly_ends(gateway: Gateway, process: Process) -> None:
    """A body and headers that trickle are given up; others are served meanwhile."""
    await gateway.put_welcome()
    async with (
        connect(process) as body,
        connect(process) as headers,
        connect(process) as silent,
    ):
        body.writer.write(head(gateway, "content-length: 100") + b"{")
        headers.writer.write(b"POST / HTTP/1.1\r\nhost: x\r\n")
        started = time.monotonic()
        await _expect_service(process, gateway)
        assert (await body.read_answer()).startswith(b"HTTP/1.1 408")
        assert await headers.read_answer() == b""
        assert await silent.read_answer() == b""
        assert time.monotonic() - started > 5, "given up before there was a chance to finish"


async def test_endless_headers_end(process: Process) -> None:
    async with connect(process) as raw:
        raw.writer.write(b"GET / HTTP/1.1\r\n")
        sent = 0
        with suppress(OSError):
            while sent < 4 * MEGABYTE and not raw.reader.at_eof():
                raw.writer.write(b"x: " + b"y" * 1_000 + b"\r\n")
                await raw.writer.drain()
                await asyncio.sleep(0.0005)
                sent += 1_005
        assert sent < 4 * MEGABYTE
