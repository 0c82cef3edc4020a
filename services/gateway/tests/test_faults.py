"""Servers that are away: a quick 503 that says so, never a 202, never a hang; and back again."""

import asyncio
import gc
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import httpx
import psutil
import pytest
from gateway.auth.access import Role
from gateway.auth.keys import generate_key
from gateway.issued_ids import IdIssuer
from mirsal_contracts.controls import ForgetRun
from mirsal_testing.faults.tcp_proxy import TcpProxy
from mirsal_testing.servers.server import Server
from pydantic import SecretStr

from services.gateway.tests.conftest import WELCOME, Gateway, MakeSettings, open_gateway
from services.gateway.tests.processes import free_port, run_gateway
from services.gateway.tests.test_reading import add_execution

RUN = "/api/automation/workflow/welcome/run"
WORKFLOW = "/api/automation/workflow/welcome"
ANSWER_SECONDS = 5.0
AT_ONCE_SECONDS = 0.5
BACK_SECONDS = 30
MOST_GROWTH_BYTES = 50 * 1024 * 1024


# A client of Kafka's that is cancelled while it connects leaves the connection to the collector.
pytestmark = pytest.mark.filterwarnings("ignore:Unclosed AIOKafkaConnection:ResourceWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What a test leaves behind is found while it is known whose it was."""
    yield
    gc.collect()


async def start(gateway: Gateway, **headers: str) -> tuple[httpx.Response, float]:
    """A start, and how long its answer took."""
    began = time.monotonic()
    answer = await gateway.client.post(RUN, json={"leadId": "ahmed"}, headers=headers)
    return answer, time.monotonic() - began


async def wait_for(status: int, call: Callable[[], Coroutine[None, None, httpx.Response]]) -> None:
    """Call until the answer has this status."""
    async with asyncio.timeout(BACK_SECONDS):
        async for _ in _every(0.1):
            if (await call()).status_code == status:
                return


async def _every(seconds: float) -> AsyncIterator[None]:
    while True:
        yield
        await asyncio.sleep(seconds)


async def wait_for_starts(gateway: Gateway) -> None:
    """Start runs until one is accepted."""
    await wait_for(202, lambda: gateway.client.post(RUN, json={"leadId": "ahmed"}))


@asynccontextmanager
async def without(server: Server, fault: str) -> AsyncIterator[None]:
    """The server killed or paused."""
    if fault == "killed":
        await server.kill()
    else:
        await server.pause()
    try:
        yield
    finally:
        await (server.start() if fault == "killed" else server.resume())


async def test_an_erasure_counts_without_kafka_and_tells_the_runs_when_it_is_said_again(
    gateway: Gateway, kafka_server: Server
) -> None:
    await gateway.put_welcome()
    run_id = str(uuid4())
    await add_execution(gateway, run_id=run_id)
    lead = "/api/automation/lead/ahmed"
    async with without(kafka_server, "paused"):
        began = time.monotonic()
        answer = await gateway.client.delete(lead)
        assert time.monotonic() - began < ANSWER_SECONDS
        assert (answer.status_code, answer.json()["leadId"]) == (503, "ahmed")
        assert int(answer.headers["retry-after"]) >= 1
        assert (await gateway.client.get(lead)).status_code == 404
        keys = "SELECT FROM gateway.lead_keys WHERE workspace = $1"
        assert not await gateway.sql.fetch(keys, gateway.workspace)
        assert (await gateway.client.delete(lead)).status_code == 503
    await wait_for(200, lambda: gateway.client.delete(lead))
    again = await gateway.client.delete(lead)
    assert again.json() == {"leadId": "ahmed", "wasThere": False, "runs": 1}
    told = await gateway.find_controls(run_id)
    assert {each["type"] for each in told} == {ForgetRun.TYPE}
    owner = {"x-api-key": await gateway.add_key(gateway.workspace, role=Role.OWNER)}
    erased = "/api/automation/audit?action=lead.erased"
    assert len((await gateway.client.get(erased, headers=owner)).json()["items"]) == 1


@pytest.mark.parametrize("fault", ["killed", "paused"])
async def test_without_kafka_a_start_is_503_with_its_id(
    gateway: Gateway, kafka_server: Server, fault: str
) -> None:
    await gateway.put_welcome()
    await wait_for_starts(gateway)
    async with without(kafka_server, fault):
        answer, seconds = await start(gateway, **{"idempotency-key": f"k-{fault}"})
        assert answer.status_code == 503
        assert seconds < ANSWER_SECONDS
        assert int(answer.headers["retry-after"]) >= 1
        run_id = answer.json()["runId"]
        assert IdIssuer(gateway.settings.id_secret).stem_of("run", gateway.workspace, run_id)
        answers = await asyncio.gather(*(start(gateway) for _ in range(20)))
        assert {each.status_code for each, _ in answers} == {503}
        # Known to be away: nobody waits any more.
        assert max(seconds for _, seconds in answers) < AT_ONCE_SECONDS
        health = await gateway.client.get("/api/automation/health")
        kafka = health.json()["dependencies"]["kafka"]
        # A success is remembered for some seconds.
        assert health.status_code == 503 or kafka["status"] == "up"
        saved = await gateway.client.put("/api/automation/lead/sara", json={})
        assert saved.status_code in {200, 201}, "what needs no Kafka works on"
        queue = await gateway.client.get("/api/automation/queue/status")
        assert queue.status_code in {200, 503}
        metrics = await gateway.client.get("/api/automation/metrics")
        assert metrics.status_code == 200
    await wait_for_starts(gateway)
    again, _ = await start(gateway, **{"idempotency-key": f"k-{fault}"})
    assert (again.status_code, again.json()["runId"]) == (202, run_id)


@pytest.mark.parametrize("fault", ["killed", "paused"])
async def test_without_postgres_calls_are_503(
    gateway: Gateway, postgres_server: Server, fault: str
) -> None:
    await gateway.put_welcome()
    async with without(postgres_server, fault):
        # The first is wrong, which nobody can say before it is known whether the workflow exists.
        for path in (f"{WORKFLOW}/logs?limit=0", "/api/automation/leads", f"{WORKFLOW}/logs"):
            began = time.monotonic()
            answer = await gateway.client.get(path)
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) >= 1
            assert time.monotonic() - began < ANSWER_SECONDS
        answer, seconds = await start(gateway)
        assert answer.status_code == 503
        assert seconds < ANSWER_SECONDS
        health = await gateway.client.get("/api/automation/health")
        assert health.status_code == 503
        assert health.json()["dependencies"]["postgres"]["status"] == "down"
        assert (await gateway.client.get("/api/health")).status_code == 200
    await wait_for_starts(gateway)
    # What health says may be a second old.
    await wait_for(200, lambda: gateway.client.get("/api/automation/health"))


async def test_a_key_that_cannot_be_looked_up_is_503_in_time_whoever_asked_before(
    gateway: Gateway, postgres_server: Server
) -> None:
    """Look-ups go in batches, and none waits for the batch before its own and then as long."""
    await gateway.put_welcome()

    async def ask(later: float) -> tuple[int, float]:
        await asyncio.sleep(later)
        began = time.monotonic()
        answer = await gateway.client.get(WORKFLOW, headers={"x-api-key": generate_key()})
        return answer.status_code, time.monotonic() - began

    async with without(postgres_server, "paused"):
        answers = await asyncio.gather(*(ask(later) for later in (0, 0.3, 0.6)))
    assert {status for status, _ in answers} == {503}
    assert max(seconds for _, seconds in answers) < ANSWER_SECONDS


@pytest.mark.parametrize("fault", ["half open", "a byte a second"])
async def test_a_bad_network_to_postgres_is_503_in_time_and_forgotten(
    make_settings: MakeSettings, fault: str
) -> None:
    url = urlsplit(make_settings().database_url.get_secret_value())
    async with TcpProxy(url.hostname or "", url.port or 0) as proxy:
        netloc = url.netloc.replace(f":{url.port}", f":{proxy.port}")
        through = SecretStr(url._replace(netloc=netloc).geturl())
        async with open_gateway(make_settings(database_url=through)) as gateway:
            await gateway.put_welcome()
            assert proxy.open_connections > 0
            if fault == "half open":
                proxy.blackhole()
            else:
                proxy.throttle(1)
            asks = (gateway.client.get(WORKFLOW), gateway.client.put(WORKFLOW, json=WELCOME))
            for ask in (*asks, gateway.client.post(RUN, json={"leadId": "ahmed"})):
                began = time.monotonic()
                assert (await ask).status_code == 503
                assert time.monotonic() - began < ANSWER_SECONDS
            # The network lets go of what it held, as it does at last, and is well again.
            await proxy.reset()
            await proxy.heal()
            await wait_for_starts(gateway)


async def test_used_up_connections_are_503_and_come_back(make_settings: MakeSettings) -> None:
    """Five connections, a hundred saves that wait for a lock."""
    async with open_gateway(make_settings(database_connections=5)) as gateway:
        await gateway.put_welcome()
        async with gateway.sql.transaction():
            await gateway.sql.execute("LOCK TABLE gateway.leads IN ACCESS EXCLUSIVE MODE")
            began = time.monotonic()
            saves = asyncio.gather(
                *(gateway.client.put(f"/api/automation/lead/l{n}", json={}) for n in range(100))
            )
            await asyncio.sleep(0.5)
            health = await gateway.client.get("/api/automation/health")
            assert health.status_code == 503
            answers = await saves
            assert time.monotonic() - began < 2 * ANSWER_SECONDS
            assert {answer.status_code for answer in answers} == {503}
            assert all("retry-after" in answer.headers for answer in answers)
        began = time.monotonic()
        saved = await gateway.client.put("/api/automation/lead/l1", json={})
        assert saved.status_code == 201
        assert time.monotonic() - began < ANSWER_SECONDS


async def test_a_lock_on_the_logs_does_not_stop_starts(gateway: Gateway) -> None:
    await gateway.put_welcome()
    async with gateway.sql.transaction():
        await gateway.sql.execute("LOCK TABLE orchestrator.execution_logs")
        reads = asyncio.gather(*(gateway.client.get(f"{WORKFLOW}/logs") for _ in range(30)))
        await asyncio.sleep(0.2)
        for _ in range(5):
            answer, seconds = await start(gateway)
            assert answer.status_code == 202
            assert seconds < 1
        answers = await reads
        assert {answer.status_code for answer in answers} == {503}
    assert (await gateway.client.get(f"{WORKFLOW}/logs")).status_code == 200


async def test_dropped_connections_are_made_anew(gateway: Gateway, postgres_server: Server) -> None:
    await gateway.put_welcome()
    other = await asyncpg.connect(postgres_server.url)
    try:
        await other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name LIKE 'gateway%'"
        )
    finally:
        await other.close()
    await wait_for_starts(gateway)


async def test_a_database_that_is_read_only_acknowledges_nothing(gateway: Gateway) -> None:
    """As after a failover, when the old address leads to a standby."""
    await gateway.put_welcome()
    database = await gateway.sql.fetchval("SELECT current_database()")
    quoted = await gateway.sql.fetchval("SELECT quote_ident($1)", database)
    await gateway.sql.execute(f"ALTER DATABASE {quoted} SET default_transaction_read_only = on")
    try:
        await gateway.sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name LIKE 'gateway%'"
        )
        await wait_for(200, lambda: gateway.client.get(WORKFLOW))
        saved = await gateway.client.put(WORKFLOW, json={**WELCOME, "name": "New"})
        assert saved.status_code == 503
    finally:
        await gateway.sql.execute("SET default_transaction_read_only = off")
        await gateway.sql.execute(f"ALTER DATABASE {quoted} RESET default_transaction_read_only")
        await gateway.sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name LIKE 'gateway%'"
        )
    await wait_for(200, lambda: gateway.client.put(WORKFLOW, json=WELCOME))


async def test_sigterm_without_kafka_ends_in_time(gateway: Gateway, kafka_server: Server) -> None:
    """What was refused meanwhile is kept nowhere, and holds nothing up."""
    await gateway.put_welcome()
    async with (
        run_gateway(gateway.settings, free_port()) as process,
        without(kafka_server, "paused"),
        httpx.AsyncClient(headers={"x-api-key": gateway.key}, timeout=10) as client,
    ):
        large = {"leadId": "ahmed", "input": {"x": "y" * 400_000}}
        answer = await client.post(process.url + RUN, json=large)
        assert answer.status_code == 503
        memory = psutil.Process(process.pid).memory_info
        before = memory().rss
        for _ in range(20):
            answers = await asyncio.gather(
                *(client.post(process.url + RUN, json=large) for _ in range(10))
            )
            assert {each.status_code for each in answers} == {503}
        assert memory().rss - before < MOST_GROWTH_BYTES
        began = time.monotonic()
        process.signal(signal.SIGTERM)
        assert await process.wait() == 0
        assert time.monotonic() - began < 15
