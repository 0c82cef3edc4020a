"""Servers that misbehave under load, each in its own way: what was accepted ends, sent once."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest
from mirsal_testing.stack import Stack
from mirsal_testing.storm.records import open_records
from mirsal_testing.storm.scene import NODES, prepare
from mirsal_testing.storm.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from mirsal_testing.storm.clients import Clients

RATE = 30.0
FAULT_SECONDS = 10.0
DONE_SECONDS = 15.0
RESTARTS = 5
RESTART_EVERY_SECONDS = 3.0
FELT_AFTER_SECONDS = 0.8

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def stack(mirsal_server_folder: Path) -> Iterator[Stack]:
    settings = {"MIRSAL_RATE_LIMIT_PER_MINUTE": "0"}
    with Stack(mirsal_server_folder / "faults", environment=settings) as running:
        yield running


async def run_through(
    stack: Stack, workflow: str, fault: Callable[[Clients], Awaitable[None]]
) -> Clients:
    """Load before, during and after the fault; every accepted run ends soon after it, as it must.

    The clients, of which the caller may ask what they felt.
    """
    clients = await prepare(stack, workflow)
    enough = asyncio.Event()
    async with open_records(stack, workflow) as records, asyncio.TaskGroup() as load:
        storm = load.create_task(clients.storm(RATE, enough))
        await asyncio.sleep(2)
        await fault(clients)
        over_at = time.time()
        await asyncio.sleep(1)
        enough.set()
        await storm
        await records.wait_ended(len(clients.accepted), over_at + DONE_SECONDS)
        found = await records.read()
    assert clients.refusals == []
    assert len(clients.accepted) == clients.starts > RATE * 2
    assert judge(clients.accepted, found, NODES, []) == []
    return clients


async def test_a_long_lock_on_the_logs_delays_and_loses_nothing(stack: Stack) -> None:
    async def lock(clients: Clients) -> None:
        database = await asyncpg.connect(stack.environment["DATABASE_URL"])
        count = "SELECT count(*) FROM orchestrator.execution_logs"
        try:
            async with database.transaction():
                await database.execute("LOCK TABLE orchestrator.execution_logs")
                rows, accepted = await database.fetchval(count), len(clients.accepted)
                await asyncio.sleep(FAULT_SECONDS)
                assert await database.fetchval(count) == rows, "nobody could write"
                # Starts do not need that table.
                assert len(clients.accepted) > accepted + RATE * FAULT_SECONDS / 2
        finally:
            await database.close()

    clients = await run_through(stack, "locked", lock)
    assert clients.retries == 0


async def test_a_database_that_is_read_only_for_a_while_acknowledges_nothing(stack: Stack) -> None:
    """As after a failover, when the old address leads to a standby for a moment."""

    async def demote(clients: Clients) -> None:
        database = await asyncpg.connect(stack.environment["DATABASE_URL"])
        try:
            await database.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            await reconnect_all(database)
            await asyncio.sleep(1)
            accepted = len(clients.accepted)
            await asyncio.sleep(FAULT_SECONDS)
            # A start with an Idempotency-Key writes it first.
            assert len(clients.accepted) == accepted
        finally:
            await database.execute("SET default_transaction_read_only = off")
            await database.execute("ALTER SYSTEM RESET default_transaction_read_only")
            await reconnect_all(database)
            await database.close()

    clients = await run_through(stack, "demoted", demote)
    assert clients.retries > 0


async def reconnect_all(database: asyncpg.Connection[asyncpg.Record]) -> None:
    """Have the server read its settings, and cut every other session."""
    await database.execute("SELECT pg_reload_conf()")
    await asyncio.sleep(0.2)
    await database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )


async def test_a_broker_that_dies_again_and_again_leaves_nobody_deaf(stack: Stack) -> None:
    async def restart(clients: Clients) -> None:
        starts = stack.starts("kafka")
        for _ in range(RESTARTS):
            retries, killed_at = clients.retries, time.time()
            stack.kill("kafka")
            await asyncio.sleep(FELT_AFTER_SECONDS)
            # A start is held until the broker is back, or refused so that its client asks again.
            held = clients.count_open(sent_before=killed_at + FELT_AFTER_SECONDS / 2)
            assert held + clients.retries - retries > 0, "nobody felt that the broker was away"
            await asyncio.sleep(RESTART_EVERY_SECONDS - FELT_AFTER_SECONDS)
            await stack.wait_ready()
        assert stack.starts("kafka") == starts + RESTARTS

    await run_through(stack, "restarted", restart)


async def test_who_waits_for_others_lives_and_is_not_ready(stack: Stack) -> None:
    """A restart would cure nothing: liveness is about the process alone."""
    urls = {
        name: url
        for name, url in stack.environment.items()
        if name.endswith("_HEALTH_URL") and "WEBHOOK" not in name
    }
    assert len(urls) >= 6
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client, asyncio.timeout(60):
        stack.pause("kafka")
        try:
            for name, url in urls.items():
                while (await client.get(f"{url}/ready")).status_code == HTTPStatus.OK:
                    await asyncio.sleep(0.1)
                assert (await client.get(f"{url}/health")).json() == {"status": "alive"}, name
        finally:
            stack.resume("kafka")
    await stack.wait_ready()
