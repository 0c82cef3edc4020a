"""The process on real servers: whole runs, kill -9 at every point, servers away, siblings."""

import asyncio
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from mirsal_contracts.commands import RunNode
from mirsal_contracts.statuses import Fault, NodeFailed, NodeSucceeded
from mirsal_contracts.topics import (
    DEAD_LETTERS_ORCHESTRATOR_V1,
    EXECUTIONS_REQUESTED_V1,
    NODE_STATUSES_V1,
    RUN_TIMERS_V1,
)
from mirsal_contracts.workflows import Node, RetryPolicy
from mirsal_runtime.broker import Outgoing
from mirsal_testing.servers.server import Server
from orchestrator.rehearsal import draw
from orchestrator.store.runs import Pool

from services.orchestrator.tests.stage import Stage, ids, succeed


async def ended(pool: Pool, count: int, seconds: float = 40) -> Counter[str]:
    """The statuses of runs, once so many have ended."""
    async with asyncio.timeout(seconds):
        while True:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                rows = await pool.fetch("SELECT status FROM runs WHERE ended_at IS NOT NULL")
                if len(rows) >= count:
                    return Counter(row["status"] for row in rows)
            await asyncio.sleep(0.05)


async def check_books(stage: Stage, pool: Pool, runs: int) -> None:
    """Nothing lost, nothing done twice, and everything counted once."""
    assert await ended(pool, runs) == {"succeeded": runs}
    assert {command.attempt for command in stage.commands} == {1}
    commands = {command.execution_id: command.command_id for command in stage.commands}
    assert len(commands) == 2 * runs
    rows = await pool.fetch("SELECT execution_id, status FROM execution_logs")
    assert {row["execution_id"] for row in rows} == set(commands)
    assert {row["status"] for row in rows} == {"succeeded"}
    assert await pool.fetchval("SELECT sum(executions) FROM execution_totals") == 2 * runs


async def test_runs_go_through_and_the_process_leaves_in_good_order(
    stage: Stage, pool: Pool
) -> None:
    process = await stage.start()
    await stage.request(30)
    await check_books(stage, pool, 30)
    assert all(len(traces) == 1 for traces in stage.traces.values()), "one trace a run"
    assert len(stage.commands) == 60
    process.terminate()
    assert await process.wait() == 0
    again = await stage.start()
    await stage.request(1)
    await check_books(stage, pool, 31)
    assert len(stage.commands) == 62, "what was done was not committed"
    again.terminate()
    assert await again.wait() == 0


async def test_a_retry_comes_when_it_is_due(stage: Stage, pool: Pool) -> None:
    def fail_first(command: RunNode) -> NodeSucceeded | NodeFailed:
        if command.attempt == 1:
            error = Fault(code="broken", message="it broke")
            return NodeFailed.model_validate({**ids(command), "kind": "transient", "error": error})
        return succeed(command)

    stage.answer = fail_first
    await stage.start()
    retry = RetryPolicy(backoff_seconds=0.5)
    await stage.request(10, draw([Node(id="a", type="noop", retry=retry)]))
    assert await ended(pool, 10) == {"succeeded": 10}
    assert Counter(command.attempt for command in stage.commands) == {1: 10, 2: 10}
    rows = await pool.fetch("SELECT retry_count, status FROM execution_logs")
    assert {tuple(row) for row in rows} == {(1, "succeeded")}


@pytest.mark.parametrize(
    "point", ["before_write", "after_write", "after_send", "before_commit", "after_commit"]
)
async def test_kill_9_at_any_point_loses_and_repeats_nothing(
    stage: Stage, pool: Pool, tmp_path: Path, point: str
) -> None:
    flag = tmp_path / "die"
    flag.touch()
    await stage.request(20)
    process = await stage.start(MIRSAL_FAILPOINT=f"{point}@{flag}")
    assert await process.wait() == -signal.SIGKILL, "the fault did not happen"
    await stage.start()
    await stage.request(5)
    await check_books(stage, pool, 25)


async def test_kill_9_again_and_again_under_load(stage: Stage, pool: Pool) -> None:
    loading = asyncio.create_task(stage.load(120))
    for _ in range(4):
        process = await stage.start()
        await asyncio.sleep(1.2)
        process.kill()
        assert await process.wait() == -signal.SIGKILL
    await stage.start()
    await loading
    await check_books(stage, pool, 120)


async def test_postgresql_dies_and_comes_back(
    stage: Stage, pool: Pool, postgres_server: Server
) -> None:
    process = await stage.start()
    loading = asyncio.create_task(stage.load(100))
    await ended(pool, 10)
    await postgres_server.kill()
    await asyncio.sleep(1)
    assert not await postgres_server.is_ready()
    await postgres_server.start()
    await loading
    await check_books(stage, pool, 100)
    assert process.returncode is None, "the process did not live through it"


async def test_it_leaves_in_good_order_while_postgresql_is_away(stage: Stage, pool: Pool) -> None:
    process = await stage.start(DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    await stage.request(3)
    await stage.logged("server_away")
    process.terminate()
    assert await process.wait() == 0
    await stage.start()
    await check_books(stage, pool, 3)


async def test_kafka_dies_and_comes_back(stage: Stage, pool: Pool, kafka_server: Server) -> None:
    process = await stage.start()
    await stage.request(20)
    await ended(pool, 5)
    await kafka_server.kill()
    await asyncio.sleep(1)
    await kafka_server.start()
    await stage.load(20)
    await check_books(stage, pool, 40)
    assert process.returncode is None, "the process did not live through it"


async def test_a_sibling_takes_over_from_one_that_is_frozen(stage: Stage, pool: Pool) -> None:
    first = await stage.start(1)
    second = await stage.start(2)
    runs = 0
    while await pool.fetchval("SELECT count(DISTINCT left(instance,-2)) FROM execution_totals") < 2:
        await stage.request(10)
        runs += 10
        await check_books(stage, pool, runs)
    first.send_signal(signal.SIGSTOP)
    await stage.request(20)
    await check_books(stage, pool, runs + 20)
    first.send_signal(signal.SIGCONT)
    await stage.load(40)
    await check_books(stage, pool, runs + 60)
    for process in (first, second):
        process.terminate()
        assert await process.wait() == 0


async def test_poison_goes_to_the_dead_letters_and_stops_nobody(stage: Stage, pool: Pool) -> None:
    await stage.start()
    poison = [
        Outgoing(topic.name, str(uuid4()), value, [("note", b"kept")])
        for topic in (EXECUTIONS_REQUESTED_V1, NODE_STATUSES_V1, RUN_TIMERS_V1)
        for value in (b"{", b"", b"[]", None)
    ]
    await stage.send(*poison[:6])
    await stage.request(10)
    await stage.send(*poison[6:])
    await stage.request(10)
    await check_books(stage, pool, 20)
    letters = await read_letters(stage, len(poison))
    assert Counter(value for value, _ in letters) == {b"{": 3, b"": 3, b"[]": 3, None: 3}
    for _, headers in letters:
        assert headers["note"] == b"kept"
        assert headers["dead_letter_reason"] in (b"invalid_json", b"invalid_message", b"no_value")


async def test_topics_that_are_made_later_are_found(
    kafka_server: Server, database_url: str, pool: Pool, tmp_path: Path, kafka_prefix: str
) -> None:
    stage = Stage(kafka_server, database_url, kafka_prefix, tmp_path)
    process = await stage.start()
    await asyncio.sleep(1.5)
    await stage.make_topics()
    connector = asyncio.create_task(stage.connect())
    try:
        await stage.request(3)
        await check_books(stage, pool, 3)
        assert process.returncode is None
    finally:
        connector.cancel()
        await asyncio.gather(connector, return_exceptions=True)
        await stage.stop()


async def read_letters(stage: Stage, count: int) -> list[tuple[bytes | None, dict[str, bytes]]]:
    """So many dead letters: value and headers."""
    consumer = stage.reader(DEAD_LETTERS_ORCHESTRATOR_V1)
    await consumer.start()
    letters: list[tuple[bytes | None, dict[str, bytes]]] = []
    try:
        async with asyncio.timeout(10):
            while len(letters) < count:
                found = await consumer.getmany(timeout_ms=200)
                letters += [
                    (record.value, dict(record.headers))
                    for records in found.values()
                    for record in records
                ]
    finally:
        await consumer.stop()
    return letters
