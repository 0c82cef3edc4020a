"""Waking runs: who is leased to whom, what is sent, and what the sweeper makes good."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from mirsal_contracts.message import Envelope
from mirsal_contracts.timers import TimerFired
from mirsal_runtime.broker import BrokerUnavailable, Outgoing
from orchestrator.batch_rehearsal import no_keys
from orchestrator.rehearsal import Rehearsal, draw
from orchestrator.store.clock import DatabaseClock
from orchestrator.store.runs import SQL, Pool, RunStore, RunWrite, StoredRun
from orchestrator.store.timers import TimerStore
from orchestrator.sweeper import Sweeper
from orchestrator.timers import Poller

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LONG_AGO = timedelta(hours=1)


class Outbox:
    """Keeps what is sent; can be away for a while."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.refusals = 0
        self.news = asyncio.Event()

    async def send(self, messages: Sequence[Outgoing]) -> None:
        self.news.set()
        if self.refusals:
            self.refusals -= 1
            raise BrokerUnavailable("away")
        self.sent += messages

    async def wait(self) -> None:
        """Until something is to be sent."""
        async with asyncio.timeout(5):
            await self.news.wait()
        self.news.clear()


@pytest.fixture
def timers(pool: Pool) -> TimerStore:
    return TimerStore(pool, DatabaseClock())


async def store_run(pool: Pool, wake_at: datetime) -> str:
    """A run that is to be woken at this time."""
    run = Rehearsal(draw(["a"]))
    run.asked = run.asked._replace(run_id=str(uuid4()))
    rows = run.request().rows
    node = run.now.nodes["a"]._replace(due=wake_at)
    state = run.now._replace(nodes={"a": node})
    request_json = run.asked.to_json().decode()
    write = RunWrite(
        StoredRun(run.asked, state, 0, TRACE, 0), request_json, state.to_json().decode(), rows
    )
    store = RunStore(pool, DatabaseClock(), instance="orchestrator-1")
    assert await store.write([write], [], datetime.now(UTC))
    return run.asked.run_id


async def poll(poller: Poller) -> asyncio.Task[None]:
    """The poller at work."""
    return asyncio.create_task(poller.run())


async def end(task: asyncio.Task[None]) -> None:
    """The poller stopped."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_due_run_is_leased_to_one_poller(pool: Pool, timers: TimerStore) -> None:
    now = await pool.fetchval("SELECT now()")
    ids = [await store_run(pool, now - LONG_AGO) for _ in range(6)]
    await store_run(pool, now + LONG_AGO)
    leases = await asyncio.gather(*(timers.lease_due(2) for _ in range(4)))
    leased = [run.run_id for each in leases for run in each]
    leased += [run.run_id for run in await timers.lease_due(10)]
    assert sorted(leased) == sorted(ids)
    assert await timers.lease_due(10) == []


async def test_the_longest_overdue_come_first(pool: Pool, timers: TimerStore) -> None:
    now = await pool.fetchval("SELECT now()")
    ids = [await store_run(pool, now - timedelta(minutes=minutes)) for minutes in (1, 3, 2)]
    leased = [run.run_id for _ in ids for run in await timers.lease_due(1)]
    assert leased == [ids[1], ids[2], ids[0]]


async def test_a_lease_lasts_longer_the_later_the_run_is(pool: Pool, timers: TimerStore) -> None:
    now = await pool.fetchval("SELECT now()")
    seconds = {}
    for late in (0, 20, 4000):
        run_id = await store_run(pool, now - timedelta(seconds=late))
        await timers.lease_due(10)
        lease = "SELECT leased_until - now() FROM runs WHERE id = $1"
        seconds[late] = (await pool.fetchval(lease, run_id)).total_seconds()
    assert 4 < seconds[0] <= 5
    assert 19 < seconds[20] < 30
    assert 59 < seconds[4000] <= 60


async def test_the_next_due_time_passes_over_what_is_leased(pool: Pool, timers: TimerStore) -> None:
    now = await pool.fetchval("SELECT now()")
    assert (await timers.read_next_due())[1] is None
    await store_run(pool, now - LONG_AGO)
    later = now + timedelta(seconds=30)
    await store_run(pool, later)
    assert (await timers.read_next_due())[1] == now - LONG_AGO
    await timers.lease_due(10)
    assert (await timers.read_next_due())[1] == later


async def test_a_run_that_moved_is_free_of_its_lease(pool: Pool, timers: TimerStore) -> None:
    now = await pool.fetchval("SELECT now()")
    run_id = await store_run(pool, now - LONG_AGO)
    await timers.lease_due(10)
    store = RunStore(pool, DatabaseClock(), instance="orchestrator-1")
    stored = (await store.load([run_id]))[run_id]
    soon = now + timedelta(seconds=1)
    nodes = {"a": stored.state.nodes["a"]._replace(due=soon)}
    moved = stored._replace(state=stored.state._replace(nodes=nodes))
    await store.write([RunWrite(moved, None, moved.state.to_json().decode(), ())], [], now)
    assert (await timers.read_next_due())[1] == soon


async def test_a_due_run_is_woken_under_its_own_key_and_trace(
    pool: Pool, timers: TimerStore
) -> None:
    due_at = await pool.fetchval("SELECT now()")
    run_id = await store_run(pool, due_at)
    outbox = Outbox()
    task = await poll(Poller(timers, outbox))
    await outbox.wait()
    await end(task)
    assert [(each.topic, each.key) for each in outbox.sent] == [("run.timers.v1", run_id)]
    value = outbox.sent[0].value
    assert value is not None
    fired = TimerFired.model_validate_json(value)
    assert (fired.run_id, fired.due_at, fired.workspace) == (run_id, due_at, "w")
    envelope = Envelope.from_headers(outbox.sent[0].headers)
    assert (envelope.traceparent, envelope.type) == (TRACE, TimerFired.TYPE)


async def test_the_poller_sleeps_until_a_run_is_due_and_wakes_for_a_sooner_one(
    pool: Pool, timers: TimerStore
) -> None:
    outbox = Outbox()
    poller = Poller(timers, outbox, longest_sleep=LONG_AGO)
    task = await poll(poller)
    await asyncio.sleep(0.1)
    due_at = await pool.fetchval("SELECT clock_timestamp()") + timedelta(seconds=0.1)
    run_id = await store_run(pool, due_at)
    poller.expect(due_at)
    await outbox.wait()
    assert await pool.fetchval("SELECT clock_timestamp()") >= due_at
    await end(task)
    assert [each.key for each in outbox.sent] == [run_id]


class CountedTimers(TimerStore):
    """Counts the looks."""

    looks = 0

    async def read_next_due(self) -> tuple[datetime, datetime | None]:
        self.looks += 1
        return await super().read_next_due()


async def test_the_poller_does_not_spin_on_a_run_that_is_being_written(pool: Pool) -> None:
    run_id = await store_run(pool, await pool.fetchval("SELECT now()"))
    timers, outbox = CountedTimers(pool, DatabaseClock()), Outbox()
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM runs FOR UPDATE")
        task = await poll(Poller(timers, outbox))
        await asyncio.sleep(0.5)
        assert (0 < timers.looks < 20, outbox.sent) == (True, [])
    await outbox.wait()
    await end(task)
    assert [each.key for each in outbox.sent] == [run_id]


async def test_a_wake_up_that_kafka_did_not_take_is_sent_again(
    pool: Pool, timers: TimerStore
) -> None:
    run_id = await store_run(pool, await pool.fetchval("SELECT now()"))
    outbox = Outbox()
    outbox.refusals = 1
    task = await poll(Poller(timers, outbox))
    await outbox.wait()
    assert outbox.sent == []
    await outbox.wait()
    await end(task)
    assert [each.key for each in outbox.sent] == [run_id]


async def test_a_wake_up_that_is_late_does_not_wait_for_its_lease_once_kafka_is_back(
    pool: Pool, timers: TimerStore
) -> None:
    """Its lease is as long as it is late: a minute here."""
    run_id = await store_run(pool, await pool.fetchval("SELECT now()") - LONG_AGO)
    outbox = Outbox()
    outbox.refusals = 2
    task = await poll(Poller(timers, outbox))
    for _ in range(3):
        await outbox.wait()
    await end(task)
    assert [each.key for each in outbox.sent] == [run_id]


async def test_a_lease_that_another_has_by_now_is_not_given_back(
    pool: Pool, timers: TimerStore
) -> None:
    await store_run(pool, await pool.fetchval("SELECT now()") - LONG_AGO)
    (first,) = await timers.lease_due(10)
    await pool.execute("UPDATE runs SET leased_until = now()")
    (second,) = await timers.lease_due(10)
    await timers.give_back([first])
    assert await timers.lease_due(10) == []
    await timers.give_back([second])
    assert len(await timers.lease_due(10)) == 1


async def test_the_sweeper_has_a_run_woken_whose_wake_up_came_to_nothing(
    pool: Pool, timers: TimerStore
) -> None:
    now = await pool.fetchval("SELECT now()")
    overdue = await store_run(pool, now - LONG_AGO)
    await store_run(pool, now - timedelta(seconds=2))
    await store_run(pool, now + LONG_AGO)
    assert len(await timers.lease_due(10)) == 2
    sweeper = Sweeper(timers, no_keys(), overdue=timedelta(minutes=1))
    assert await sweeper.sweep() == [overdue]
    assert [run.run_id for run in await timers.lease_due(10)] == [overdue]
    found = await timers.survey()
    assert (found.due, found.leased) == (2, 2)
    assert 3599 < found.late_seconds < 3700


async def test_runs_that_rest_are_counted_by_what_they_wait_for(
    pool: Pool, timers: TimerStore
) -> None:
    for status in ("paused", "paused", "unconfirmed"):
        await pool.execute(
            "UPDATE runs SET status = $1, wake_at = NULL WHERE id = $2",
            status,
            await store_run(pool, await pool.fetchval("SELECT now()")),
        )
    assert await timers.count_resting(["paused", "unconfirmed", "waiting"]) == {
        "paused": 2,
        "unconfirmed": 1,
        "waiting": 0,
    }


@pytest.mark.parametrize(
    "name", ["lease_due", "read_next_due", "wake_overdue", "survey_runs", "count_resting"]
)
async def test_what_waits_and_what_is_over_is_not_looked_through(pool: Pool, name: str) -> None:
    arguments = {
        "lease_due": (500,),
        "wake_overdue": (timedelta(minutes=1), 1000),
        "count_resting": (["paused", "unconfirmed"],),
    }.get(name, ())
    await store_run(pool, await pool.fetchval("SELECT now()"))
    await pool.execute(
        """
        INSERT INTO runs (id, workspace, workflow_id, version, lead_id, status, request, state,
                          wake_at, created_at, updated_at, ended_at)
        SELECT gen_random_uuid(), 'w', 'flow', 1, 'lead',
               CASE number % 2 WHEN 0 THEN 'waiting' ELSE 'succeeded' END, '{}', '{}',
               CASE number % 2 WHEN 0 THEN now() + interval '1 day' END, now(), now(),
               CASE number % 2 WHEN 1 THEN now() END
          FROM generate_series(1, 20000) AS number
        """
    )
    await pool.execute("ANALYZE runs")
    explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {SQL[name]}"
    plan = orjson.loads(await pool.fetchval(explain, *arguments))[0]["Plan"]
    assert sum(rows_touched(plan)) < 50, plan


def rows_touched(node: dict[str, Any]) -> Iterator[float]:
    """How many rows each step of a plan gave or threw away."""
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Join Filter", 0)
    yield (node["Actual Rows"] + removed) * node["Actual Loops"]
    for child in node.get("Plans", ()):
        yield from rows_touched(child)
