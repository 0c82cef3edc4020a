"""The law of batches: whatever dies and whatever comes twice, no run waits for a silent round.

Two processes share runs and tables. Records are delivered at least once, in order within a
partition of a topic, in batches of any size; a process may die before its write, between write and
send, or before its offsets are committed, and one that lost its partitions may go on beside the
one that has them now.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import count
from random import Random

import pytest
from mirsal_contracts.commands import RunNode
from mirsal_contracts.topics import DEAD_LETTERS_ORCHESTRATOR_V1
from mirsal_contracts.workflows import Graph, Node, RetryPolicy
from mirsal_runtime.postgres import open_pool
from orchestrator.batch_rehearsal import (
    REQUESTS,
    STATUSES,
    TIMERS,
    Desk,
    GivenUp,
    Record,
    failure,
    record,
    request,
    success,
    timer,
)
from orchestrator.decide import RunState
from orchestrator.rehearsal import draw
from orchestrator.store.runs import ROLE, SCHEMA, Pool
from pydantic import SecretStr

from services.orchestrator.tests.conftest import empty

RETRY = RetryPolicy(attempts=3, backoff_seconds=0.001)
GRAPHS = {
    "sequence": ("a>b", "b>c"),
    "join": ("a>b", "a>c", "b>d", "c>d"),
    "roots": ("a>d", "b>d", "c>d"),
}


def graph_of(name: str) -> Graph:
    arrows = GRAPHS[name]
    ids = sorted({end for arrow in arrows for end in arrow.split(">")})
    return draw([Node(id=node_id, type="noop", retry=RETRY) for node_id in ids], *arrows)


class Field:
    """Two processes, a log for them to read, and a connector that answers every command."""

    def __init__(self, pool: Pool, dice: Random) -> None:
        self.pool = pool
        self.dice = dice
        self.desks = [Desk(pool), Desk(pool)]
        self.logs: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self.committed: dict[tuple[str, int], int] = defaultdict(int)
        self.partitions: dict[str, int] = {}
        self.answers: dict[str, Record] = {}
        self.timers: set[tuple[str, object]] = set()

    def ask(self, graph: str) -> None:
        asked = request(graph_of(graph)).model_copy(update={"workflow_id": graph})
        self.partitions[asked.run_id] = len(self.partitions) % 2
        self.append(REQUESTS, asked.run_id, record(REQUESTS, asked))

    def append(self, topic: str, run_id: str, entry: Record) -> None:
        self.logs[topic, self.partitions[run_id]].append(entry)

    @property
    def is_read(self) -> bool:
        """Whether all is done and committed."""
        return all(self.committed[place] == len(log) for place, log in self.logs.items())

    async def step(self, fault: str, partition: int, sizes: Mapping[str, int], who: int) -> None:
        """One batch, and what goes wrong with it."""
        batch: list[Record] = []
        ends: dict[tuple[str, int], int] = {}
        for topic, size in sizes.items():
            place = (topic, partition)
            start = self.committed[place]
            batch += self.logs[place][start : start + size]
            ends[place] = min(start + size, len(self.logs[place]))
        desk = self.desks[who]
        desk.outbox.refusals = int(fault == "dies before the send")
        desk.patience = 0
        try:
            await desk.settle(*batch)
        except GivenUp:
            self.desks[who] = Desk(self.pool)
            return
        await self.deliver(desk)
        if fault == "none":
            self.committed.update(ends)
        elif fault == "dies before the commit":
            self.desks[who] = Desk(self.pool)

    async def deliver(self, desk: Desk) -> None:
        """The connector answers; a command that comes again gets its first answer again."""
        assert not [
            each for each in desk.outbox.sent if each.topic == DEAD_LETTERS_ORCHESTRATOR_V1.name
        ]
        for command in desk.outbox.take():
            if command.command_id not in self.answers:
                self.answers[command.command_id] = self.answer(command)
            self.append(STATUSES, command.run_id, self.answers[command.command_id])

    def answer(self, command: RunNode) -> Record:
        works = command.attempt == 2 or self.dice.random() < 0.8
        return success(command) if works else failure(command)

    async def wake(self) -> None:
        """Fire the retries that are due, each once; never a silent round."""
        await asyncio.sleep(0.002)
        for row in await self.pool.fetch("SELECT id, state FROM runs WHERE wake_at IS NOT NULL"):
            nodes = RunState.from_json(row["state"]).nodes.values()
            due = [node.due for node in nodes if node.phase == "retrying" and node.due]
            if due and (entry := (str(row["id"]), min(due))) not in self.timers:
                self.timers.add(entry)
                self.append(TIMERS, entry[0], timer(*entry))


FAULTS = ("none", "dies before the send", "dies before the commit", "commits later")
EVERYTHING: dict[str, int] = dict.fromkeys((REQUESTS, STATUSES, TIMERS), 1000)


async def play(pool: Pool, dice: Random) -> None:
    await empty(pool)
    field = Field(pool, dice)
    for _ in range(dice.randint(1, 4)):
        field.ask(dice.choice(sorted(GRAPHS)))
    for _ in range(dice.randint(5, 30)):
        partition, both = dice.randint(0, 1), dice.random() < 0.3
        # What one wrote and did not send is lost for 15 s if the other commits its records.
        faults = ("none", "commits later") if both else FAULTS
        await asyncio.gather(
            *(
                field.step(
                    dice.choice(faults),
                    partition,
                    {topic: dice.randint(0, 5) for topic in EVERYTHING},
                    who,
                )
                for who in ((0, 1) if both else (dice.randint(0, 1),))
            )
        )
        await field.wake()
    for turn in count():
        await field.step("none", turn % 2, EVERYTHING, turn % 2)
        await field.wake()
        if field.is_read:
            break
        assert turn < 200, "it never ends"
    await check(field)


async def check(field: Field) -> None:
    """Every run is over, without a silent round; everything is written and counted once."""
    rows = await field.pool.fetch("SELECT id, status, state FROM runs")
    assert {str(row["id"]): row["status"] for row in rows} == dict.fromkeys(
        field.partitions, "succeeded"
    )
    logs = await field.pool.fetch("SELECT execution_id, status, attempt FROM execution_logs")
    asked: dict[str, set[int]] = defaultdict(set)
    for command_id in field.answers:
        execution_id, _, attempt = command_id.rpartition(".")
        asked[execution_id].add(int(attempt))
    assert {row["status"] for row in logs} == {"succeeded"}
    assert {row["execution_id"]: set(range(1, row["attempt"] + 1)) for row in logs} == asked
    counted = await field.pool.fetchval("SELECT sum(executions) FROM execution_totals")
    assert counted == len(logs)


@pytest.fixture(scope="module")
def stage(database_url: str) -> Iterator[tuple[asyncio.Runner, Pool]]:
    with asyncio.Runner() as runner:
        pool = runner.run(
            open_pool(SecretStr(database_url), role=ROLE, schema=SCHEMA, application="test")
        )
        yield runner, pool
        runner.run(pool.close())


@pytest.mark.parametrize("seed", range(100))
def test_no_run_waits_for_a_silent_round(stage: tuple[asyncio.Runner, Pool], seed: int) -> None:
    runner, pool = stage
    runner.run(play(pool, Random(seed)))  # noqa: S311 - the same each time
