"""No run is missed and none told twice: late transactions, outages, several who look."""

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest
from mirsal_runtime.postgres import open_pool
from mirsal_testing.webhook_world import World
from pydantic import SecretStr
from webhook_worker.main import ROLE, SCHEMA
from webhook_worker.store import Pool, WebhookStore, Windows

NOWHERE = "https://hooks.example/"
ZERO = timedelta(0)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """Sessions as the service has them."""
    pool = await open_pool(SecretStr(database_url), role=ROLE, schema=SCHEMA, application="test")
    yield pool
    await pool.close()


@pytest.fixture
def store(pool: Pool) -> WebhookStore:
    return WebhookStore(pool)


async def look(store: WebhookStore) -> int:
    """Look until nothing is behind; how many deliveries that made."""
    added = 0
    while True:
        glance = await store.look()
        assert glance is not None
        added += glance.added
        if not glance.is_behind:
            return added


async def test_a_change_is_found_once_however_often_is_looked(
    world: World, store: WebhookStore
) -> None:
    endpoint = await world.add_endpoint(NOWHERE)
    await look(store)
    runs = [await world.put_run("succeeded") for _ in range(3)]
    assert [await look(store) for _ in range(3)] == [3, 0, 0]
    assert {row["run_id"] for row in await world.deliveries(endpoint)} == set(runs)


async def test_a_transaction_that_ends_late_is_not_missed(
    world: World, pool: Pool, database_url: str
) -> None:
    """By its id alone: here looks go back to where they were and no further."""
    store = WebhookStore(pool, Windows(ZERO, ZERO, ZERO))
    endpoint = await world.add_endpoint(NOWHERE)
    slow = await asyncpg.connect(database_url)
    try:
        await look(store)
        transaction = slow.transaction()
        await transaction.start()
        late = await world.put_run("failed", sql=slow)
        for _ in range(5):
            early = await world.put_run("succeeded")
            assert await look(store) == 1, "what ends in time is not held up"
        assert late not in {row["run_id"] for row in await world.deliveries(endpoint)}
        await transaction.commit()
    finally:
        await slow.close()
    assert await look(store) == 1
    found = await world.deliveries(endpoint)
    assert [found[-2]["run_id"], found[-1]["run_id"]] == [early, late]
    assert await look(store) == 0


async def test_a_transaction_without_an_id_yet_is_not_missed(world: World, pool: Pool) -> None:
    """It says an earlier time than it has an id since: up to the deep overlap."""
    store = WebhookStore(pool, Windows(ZERO, timedelta(seconds=20), ZERO))
    endpoint = await world.add_endpoint(NOWHERE)
    await world.sql.execute(
        "UPDATE gateway.webhook_endpoints SET active_since = now() - interval '1 minute'"
    )
    await look(store)
    late = await world.put_run("failed", age=timedelta(seconds=15))
    await look(store)
    (row,) = await world.deliveries(endpoint)
    assert row["run_id"] == late


async def test_what_happened_during_an_outage_is_told_after_it(
    world: World, store: WebhookStore
) -> None:
    endpoint = await world.add_endpoint(NOWHERE)
    await world.sql.execute(
        "UPDATE gateway.webhook_endpoints SET active_since = now() - interval '2 hours'"
    )
    await look(store)
    await world.sql.execute(
        "UPDATE webhook_worker.looks SET seen_at = now() - interval '1 hour', "
        "settled_at = now() - interval '1 hour', noted_at = now() - interval '1 hour'"
    )
    ages = [timedelta(minutes=minutes) for minutes in (59, 31, 30, 29, 1, 0)]
    runs = [await world.put_run("succeeded", age=age) for age in ages]
    assert await look(store) == len(runs)
    assert {row["run_id"] for row in await world.deliveries(endpoint)} == set(runs)
    assert await look(store) == 0


async def test_one_looks_at_a_time(world: World, store: WebhookStore, database_url: str) -> None:
    await world.add_endpoint(NOWHERE)
    other = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            await other.execute("SELECT FROM webhook_worker.looks FOR UPDATE")
            assert await store.look() is None
    finally:
        await other.close()
    assert await store.look() is not None


async def test_while_nobody_listens_nothing_is_read_or_kept_for_later(
    world: World, store: WebhookStore
) -> None:
    await world.sql.execute("UPDATE webhook_worker.looks SET seen_at = now() - interval '1 day'")
    await world.put_run("succeeded")
    glance = await store.look()
    assert glance is not None
    assert (glance.is_listening, glance.is_behind) == (False, False)
    endpoint = await world.add_endpoint(NOWHERE)
    await look(store)
    assert await world.deliveries(endpoint) == []


async def test_the_worker_reads_what_is_published_alone(pool: Pool) -> None:
    """Of runs the columns of the view, which acts as who reads it."""
    for hidden in (
        "FROM gateway.webhook_endpoints", "FROM gateway.leads", "FROM orchestrator.execution_logs",
        "request FROM orchestrator.runs", "state FROM orchestrator.runs",
    ):  # fmt: skip
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.fetch(f"SELECT {hidden}")


async def test_lateness_is_what_nobody_looks_for_or_sends(
    world: World, store: WebhookStore
) -> None:
    endpoint = await world.add_endpoint(NOWHERE)
    await look(store)
    assert await store.read_lateness() < 30
    await world.put_run("succeeded")
    await look(store)
    late = "UPDATE webhook_worker.deliveries SET next_at = now() - interval '90 s'"
    await world.sql.execute(late)
    assert 90 <= await store.read_lateness() < 120
    (leased,) = await store.lease(10, 5, 60.0)
    await world.put_run("failed")
    await look(store)
    await world.sql.execute(f"{late} WHERE id <> $1", leased.id)
    assert await store.read_lateness() < 30, "the endpoint has a call, and keeps the other waiting"
    await world.sql.execute("UPDATE webhook_worker.deliveries SET leased_until = NULL")
    assert await store.read_lateness() >= 90
    await world.sql.execute(
        "UPDATE gateway.webhook_endpoints SET is_enabled = false WHERE id = $1", endpoint
    )
    assert await store.read_lateness() < 30, "who is not told is not told late"
    await world.sql.execute("UPDATE webhook_worker.looks SET seen_at = now() - interval '2 min'")
    assert 120 <= await store.read_lateness() < 150
