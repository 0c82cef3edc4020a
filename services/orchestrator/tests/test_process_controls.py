"""People's wishes race with kill -9 of the process: one outcome, and nothing is sent twice."""

import asyncio
import signal
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from mirsal_contracts.commands import RunNode
from mirsal_contracts.controls import CancelRun, ReplayLetter, RetryRun
from mirsal_contracts.message import Envelope
from mirsal_contracts.statuses import Fault, NodeFailed, NodeSucceeded
from mirsal_contracts.topics import EXECUTIONS_REQUESTED_V1, NODE_STATUSES_V1
from mirsal_runtime.broker import Outgoing
from orchestrator.rehearsal import draw
from orchestrator.store.runs import Pool

from services.orchestrator.tests.stage import Stage, ids, succeed
from services.orchestrator.tests.test_process import ended

RUNS = 40
ONE = draw(["a"])


def control(
    kind: type[CancelRun] | type[RetryRun] | type[ReplayLetter], run_id: str, **more: str
) -> Outgoing:
    """A person's wish."""
    message = kind.model_validate(
        {
            "workspace": "w",
            "run_id": run_id,
            "control_id": str(uuid4()),
            "requested_by": "sara",
            "requested_at": datetime.now(UTC),
            **more,
        }
    )
    headers = Envelope(message.control_id, kind.TYPE, "test", run_id, "w").to_headers()
    return Outgoing(EXECUTIONS_REQUESTED_V1.name, run_id, message.to_json(), headers)


def fail_first(command: RunNode) -> NodeSucceeded | NodeFailed:
    """The first attempt fails for good, others succeed."""
    if command.attempt == 1:
        error = Fault(code="broken", message="it broke")
        return NodeFailed.model_validate({**ids(command), "kind": "permanent", "error": error})
    return succeed(command)


async def start_until(stage: Stage, failpoint: str) -> None:
    """Run an orchestrator to the point where it dies, and start the next."""
    process = await stage.start(MIRSAL_FAILPOINT=failpoint)
    async with asyncio.timeout(30):
        assert await process.wait() == -signal.SIGKILL, "the fault did not happen"
    await stage.start()


@pytest.mark.parametrize("point", ["before_write", "after_write", "after_send", "before_commit"])
async def test_a_retry_counts_once_wherever_the_process_dies(
    stage: Stage, pool: Pool, tmp_path: Path, point: str
) -> None:
    stage.answer = fail_first
    first = await stage.start()
    await stage.request(RUNS, ONE)
    assert await ended(pool, RUNS) == {"failed": RUNS}
    first.terminate()
    await first.wait()
    run_ids = [str(row["id"]) for row in await pool.fetch("SELECT id FROM runs")]
    wishes = [control(RetryRun, run_id) for run_id in run_ids]
    # Each wish comes twice, as from a client that got no answer.
    await stage.send(*wishes, *wishes)
    flag = tmp_path / "die"
    flag.touch()
    await start_until(stage, f"{point}@{flag}")
    async with asyncio.timeout(40):
        while (await ended(pool, 0)) != {"succeeded": RUNS}:
            await asyncio.sleep(0.05)
    attempts = Counter(
        (each.run_id, each.attempt)
        for each in {each.command_id: each for each in stage.commands}.values()
    )
    assert set(attempts.values()) == {1}
    assert sorted(attempt for _, attempt in attempts) == [1] * RUNS + [2] * RUNS
    rows = await pool.fetch("SELECT status, attempt FROM execution_logs")
    assert {tuple(row) for row in rows} == {("succeeded", 2)}


async def test_cancels_race_with_statuses_and_kills(
    stage: Stage, pool: Pool, tmp_path: Path
) -> None:
    await stage.request(RUNS, ONE)
    flag = tmp_path / "die"
    flag.touch()
    process = await stage.start(MIRSAL_FAILPOINT=f"after_send@{flag}")
    await stage.send(*(control(CancelRun, run_id) for run_id in stage.traces))
    async with asyncio.timeout(30):
        assert await process.wait() == -signal.SIGKILL, "the fault did not happen"
    await stage.start()
    outcomes = await ended(pool, RUNS)
    assert sum(outcomes.values()) == RUNS
    assert set(outcomes) <= {"succeeded", "cancelled"}
    await asyncio.sleep(1)
    assert await ended(pool, RUNS) == outcomes, "what is over has changed"
    assert {each.attempt for each in stage.commands} <= {1}
    rows = await pool.fetch(
        "SELECT run.status, log.status AS log_status FROM runs AS run "
        "LEFT JOIN execution_logs AS log ON log.run_id = run.id"
    )
    assert all(row["log_status"] in (row["status"], None) for row in rows)
    counted = await pool.fetchval("SELECT sum(executions) FROM execution_totals")
    assert counted == sum(row["log_status"] is not None for row in rows)


async def test_letters_are_kept_once_and_each_replay_counts_once_wherever_it_dies(
    stage: Stage, pool: Pool, tmp_path: Path
) -> None:
    """Statuses that are of no run of their workspace, read by two processes."""
    stage.answer = succeed
    first, second = await stage.start(), await stage.start(2)
    await stage.request(RUNS, ONE)
    assert await ended(pool, RUNS) == {"succeeded": RUNS}
    foreign = [
        Outgoing(
            NODE_STATUSES_V1.name,
            command.run_id,
            succeed(command.model_copy(update={"workspace": "v"})).to_json(),
            Envelope("id", NodeSucceeded.TYPE, "test", command.run_id, "w").to_headers(),
        )
        for command in {each.run_id: each for each in stage.commands}.values()
    ]
    await stage.send(*foreign)
    async with asyncio.timeout(20):
        while await pool.fetchval("SELECT count(*) FROM dead_letters") < RUNS:
            await asyncio.sleep(0.05)
    # The first may have done it all before the second knows of signals.
    await stage.logged("health_listening", 2)
    for process in (first, second):
        process.terminate()
        assert await process.wait() == 0
    rows = await pool.fetch("SELECT id::text, run_id::text, reason FROM dead_letters")
    assert {row["reason"] for row in rows} == {"foreign_status"}
    wishes = [control(ReplayLetter, row["run_id"], letter_id=row["id"]) for row in rows]
    await stage.send(*wishes, *wishes)
    flag = tmp_path / "die"
    flag.touch()
    await start_until(stage, f"before_commit@{flag}")
    async with asyncio.timeout(20):
        while await pool.fetchval("SELECT count(*) FROM dead_letter_replays") < RUNS:
            await asyncio.sleep(0.05)
    await asyncio.sleep(1)
    assert await pool.fetchval("SELECT count(*) FROM dead_letter_replays") == RUNS
    assert await pool.fetchval("SELECT count(*) FROM dead_letters") == RUNS, "none lies there twice"
    assert {each.attempt for each in stage.commands} == {1}
