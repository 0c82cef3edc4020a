"""Retention: what ended long ago goes, with all that hangs on it; nothing else does, ever."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from mirsal_runtime import metrics
from orchestrator.batch_rehearsal import REQUESTS, Desk, no_keys, record, request
from orchestrator.retention import Retention
from orchestrator.settings import OrchestratorSettings
from orchestrator.store.clock import DatabaseClock
from orchestrator.store.retention import SQL, RetentionStore
from orchestrator.store.runs import Pool
from orchestrator.store.timers import TimerStore
from orchestrator.sweeper import Sweeper
from pydantic import ValidationError

KEPT = timedelta(days=40)
FIRST = str(UUID(int=0))


def id_of(made: datetime) -> str:
    """An id of version 7 of this moment, as the gateway makes them."""
    head = int(made.timestamp() * 1000).to_bytes(6, "big")
    return str(UUID(bytes=head + b"\x7f" + uuid4().bytes[7:]))


async def store_run(
    pool: Pool, made_days: float, ended_days: float | None, status: str = "succeeded"
) -> str:
    """A run that was asked for and ended so many days ago, with two executions and a letter."""
    now = await pool.fetchval("SELECT now()")
    made = now - timedelta(days=made_days)
    run_id = id_of(made)
    ended = None if ended_days is None else now - timedelta(days=ended_days)
    await pool.execute(
        "INSERT INTO runs (id, workspace, workflow_id, version, lead_id, status, request, state,"
        " created_at, updated_at, ended_at, wake_at)"
        " VALUES ($1, 'w', 'flow', 1, 'lead', $2, '{}', '{}', $3, $3, $4, $5)",
        run_id, status, made, ended, now if status == "waiting" else None,
    )  # fmt: skip
    for _ in range(2):
        await pool.execute(
            "INSERT INTO execution_logs (id, execution_id, workspace, run_id, workflow_id, lead_id,"
            " node_id, connector_type, created_at)"
            " VALUES ($1, $1::uuid::text, 'w', $2, 'flow', 'lead', 'a', 'noop', $3)",
            uuid4(), run_id, made,
        )  # fmt: skip
    letter_id = uuid4()
    await pool.execute(
        "INSERT INTO dead_letters (id, workspace, connector, topic, partition, position,"
        " letter_topic, letter_partition, letter_position, reason, text, died_at, type, run_id,"
        " execution_id, workflow_id, node_id, lead_id, attempt, headers, whole_bytes)"
        " VALUES ($1, 'w', 'noop', 't', 0, 0, 't', 0, 0, 'x', 'x', now(), 'x', $2,"
        " '', 'flow', 'a', 'lead', 0, '[]', 0)",
        letter_id, run_id,
    )  # fmt: skip
    await pool.execute(
        "INSERT INTO dead_letter_replays (letter_id, workspace, replay_id, requested_by,"
        " requested_at, outcome) VALUES ($1, 'w', 'r', 'who', now(), 'taken')",
        letter_id,
    )
    return run_id


async def left(pool: Pool) -> dict[str, set[str]]:
    """The runs that each table still knows of."""
    found = everywhere()
    for row in await pool.fetch(
        "SELECT 'runs' AS place, id::text AS id FROM runs"
        " UNION ALL SELECT 'execution_logs', run_id::text FROM execution_logs"
        " UNION ALL SELECT 'dead_letters', run_id::text FROM dead_letters"
    ):
        found[row["place"]].add(row["id"])
    return found


def everywhere(*run_ids: str) -> dict[str, set[str]]:
    return {place: set(run_ids) for place in ("runs", "execution_logs", "dead_letters")}


async def test_only_what_ended_long_ago_goes_and_all_of_it(pool: Pool) -> None:
    for status in ("succeeded", "failed", "cancelled"):
        await store_run(pool, 50, 41, status)
    lately = await store_run(pool, 50, 39)
    others = [
        await store_run(pool, 500, None, each) for each in ("waiting", "paused", "unconfirmed")
    ]
    young = await store_run(pool, 1, 1)
    before = metrics.RUNS_REMOVED._value.get()
    assert await Retention(RetentionStore(pool), KEPT).remove_some() == 3
    assert await left(pool) == everywhere(lately, young, *others)
    assert await pool.fetchval("SELECT count(*) FROM dead_letter_replays") == 5
    assert metrics.RUNS_REMOVED._value.get() == before + 3


async def test_a_round_goes_on_where_the_last_sweep_left_it(pool: Pool) -> None:
    paused = [await store_run(pool, 90 - days, None, "paused") for days in range(3)]
    for days in range(4):
        await store_run(pool, 80 - days, 70)
    await store_run(pool, 60, 50)
    job = Retention(RetentionStore(pool), KEPT, page_runs=2, pages=2)
    assert await job.remove_some() == 1
    assert await job.remove_some() == 4
    assert (await left(pool))["runs"] == set(paused)
    assert await job.remove_some() == 0, "it finds its end"
    await store_run(pool, 60, 50)
    assert await job.remove_some() == 0, "the next round begins later"


async def test_two_at_a_time_take_each_run_once_and_wait_for_nobody(pool: Pool) -> None:
    for _ in range(30):
        await store_run(pool, 60, 50)
    held = await store_run(pool, 60, 50)
    jobs = [Retention(RetentionStore(pool), KEPT) for _ in range(4)]
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM runs WHERE id = $1 FOR UPDATE", held)
        async with asyncio.timeout(5):
            removed = await asyncio.gather(*(job.remove_some() for job in jobs))
        assert sum(removed) == 30
    assert await left(pool) == everywhere(held)


async def test_a_run_that_somebody_revives_at_that_moment_stays(pool: Pool) -> None:
    """Also between the look at it and its lock, which is where waiting for the lock puts it."""
    revived = await store_run(pool, 60, 50, "failed")
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "UPDATE runs SET status = 'waiting', ended_at = NULL, wake_at = now() WHERE id = $1",
            revived,
        )
        assert (await RetentionStore(pool).remove_ended(KEPT, FIRST, 10)).runs == 0
        statement = SQL["remove_ended"].replace(" SKIP LOCKED", "")
        waiting = asyncio.create_task(pool.fetchrow(statement, KEPT, FIRST, 10))
        blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        async with asyncio.timeout(5):
            while not await pool.fetchval(blocked):
                await asyncio.sleep(0.01)
        await transaction.commit()
    found = await waiting
    assert found is not None
    assert (found["seen"], found["runs"], found["executions"]) == (1, 0, 0)
    assert await left(pool) == everywhere(revived)


async def test_young_runs_are_not_looked_through(pool: Pool) -> None:
    for days in (1, 39, 39.9):
        await store_run(pool, days, days)
    page = await RetentionStore(pool).remove_ended(KEPT, FIRST, 10)
    assert (page.seen, page.last_id) == (0, None)


async def test_the_sweeper_removes_only_where_it_was_told_to(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MIRSAL_RETENTION_DAYS", raising=False)
    assert OrchestratorSettings().kept is None
    old = await store_run(pool, 4000, 3999)
    timers = TimerStore(pool, DatabaseClock())
    for job, remain in ((None, {old}), (Retention(RetentionStore(pool), KEPT), set[str]())):
        sweeping = asyncio.create_task(Sweeper(timers, no_keys(), retention=job).run())
        async with asyncio.timeout(5):
            while job is not None and (await left(pool))["runs"]:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        sweeping.cancel()
        assert (await left(pool))["runs"] == remain


def test_what_kafka_may_still_know_of_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRSAL_RETENTION_DAYS", "31")
    assert OrchestratorSettings().kept == timedelta(days=31)
    monkeypatch.setenv("MIRSAL_RETENTION_DAYS", "30")
    with pytest.raises(ValidationError):
        OrchestratorSettings()


@pytest.mark.parametrize(("days", "is_begun"), [(41, False), (39, True)])
async def test_a_request_for_what_was_removed_does_not_begin_it_again(
    pool: Pool, days: float, is_begun: bool
) -> None:
    """As of a call that is repeated under one key, day after day."""
    made = await pool.fetchval("SELECT now()") - timedelta(days=days)
    again = request().model_copy(update={"run_id": id_of(made)})
    desk = Desk(pool, kept=KEPT)
    await desk.settle(record(REQUESTS, again))
    if is_begun:
        assert len(desk.outbox.take()) == 1
    else:
        assert desk.outbox.take_letters() == ["unknown_run"]
    assert bool(await pool.fetchval("SELECT count(*) FROM runs")) is is_begun


async def test_where_nothing_is_removed_a_request_may_be_as_old_as_it_likes(pool: Pool) -> None:
    made = await pool.fetchval("SELECT now()") - timedelta(days=4000)
    desk = Desk(pool)
    await desk.settle(record(REQUESTS, request().model_copy(update={"run_id": id_of(made)})))
    assert len(desk.outbox.take()) == 1
    await pool.execute("DELETE FROM runs")
    other = Desk(pool, kept=KEPT)
    await other.settle(record(REQUESTS, request()))
    assert len(other.outbox.take()) == 1, "an id of version 4 tells no time"
