"""People cancel, retry, decide and replay while the orchestrator is killed: one outcome, nobody is
written to twice, and the traces of runs that failed, rested and were retried are whole.

`MIRSAL_CHAOS_SECONDS` makes it longer.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import asyncpg
import pytest
from mirsal_testing.rest import RestClient
from mirsal_testing.simulators.whatsapp.client import WhatsAppSimulatorClient
from mirsal_testing.storm.people import People
from mirsal_testing.storm.poison import poison_of, send_poison
from mirsal_testing.storm.records import open_records
from mirsal_testing.storm.scene import DEFINITION, NODES
from mirsal_testing.storm.verdict import judge
from mirsal_testing.traces import judge_traces

if TYPE_CHECKING:
    from mirsal_testing.otlp import OtlpReceiver
    from mirsal_testing.stack import Stack

SECONDS = float(os.environ.get("MIRSAL_CHAOS_SECONDS", "12"))
RUNS = 50
KILL_PAUSE_SECONDS = 1.0
RESTART_SECONDS = 30.0
SETTLE_SECONDS = 60.0
WORKFLOW = "wishes"
WORKSPACE = "default"
# What happens to the message of every fourth lead.
MISHAPS = (
    {"times": 1, "action": {"error": {"code": 131026}}},
    {"times": 1, "action": {"drop": "after"}},
    {"times": 1, "action": {"delayMs": 1500}},
    None,
)
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(SECONDS + 240)]


async def start_runs(stack: Stack) -> list[str]:
    """Start a run for each lead, most of them with a mishap ahead."""
    phones = [f"+2010{40_000_000 + number}" for number in range(RUNS)]
    url = stack.environment["MIRSAL_WHATSAPP_SIMULATOR_URL"]
    async with (
        RestClient(stack.url, stack.api_key) as api,
        WhatsAppSimulatorClient(url) as whatsapp,
    ):
        rules = [
            {**mishap, "match": {"to": phone}}
            for number, phone in enumerate(phones)
            if (mishap := MISHAPS[number % len(MISHAPS)]) is not None
        ]
        await whatsapp.add_rules(*rules)
        for number, phone in enumerate(phones):
            mail = f"wish-{number}@example.com"
            await api.put_lead(f"wish-{number}", name="سارة", email=mail, phone=phone)
        await api.publish(WORKFLOW, DEFINITION)
        return await api.start_runs(WORKFLOW, [f"wish-{number}" for number in range(RUNS)])


async def poison(stack: Stack, run_ids: list[str]) -> None:
    """Every fifth run's worker gets a command that it cannot read beside the true one."""
    await send_poison(stack, *(poison_of(each, WORKFLOW, WORKSPACE) for each in run_ids[::5]))


async def kill_again_and_again(stack: Stack) -> int:
    """SIGKILL the orchestrator until the time is over; how often."""
    kills, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end or kills < 2:
        await asyncio.sleep(KILL_PAUSE_SECONDS)
        stack.kill("orchestrator")
        kills += 1
        await stack.wait_ready(RESTART_SECONDS)
    return kills


async def count_replays(stack: Stack) -> Counter[str]:
    """What became of the replays."""
    connection = await asyncpg.connect(stack.environment["DATABASE_URL"])
    try:
        rows = await connection.fetch(
            "SELECT outcome FROM orchestrator.published_dead_letter_replays"
        )
    finally:
        await connection.close()
    return Counter(row["outcome"] for row in rows)


async def test_wishes_race_with_kills_and_nobody_is_written_to_twice(
    traced_stack: Stack, otlp: OtlpReceiver
) -> None:
    stack = traced_stack
    run_ids = await start_runs(stack)
    await poison(stack, run_ids)
    people = People(stack.url, stack.api_key, run_ids)
    enough = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(people.bustle(enough))
            kills = await kill_again_and_again(stack)
            enough.set()
        give_up = time.monotonic() + SETTLE_SECONDS
        while (still_open := await people.settle()) and time.monotonic() < give_up:
            await asyncio.sleep(0.5)
        # What was to be sent twice would come by now.
        await asyncio.sleep(2.0)
        still_open = await people.settle()
    finally:
        await people.close()
    async with open_records(stack, WORKFLOW) as records:
        found = await records.read()
    replays = await count_replays(stack)
    faults = [*judge(run_ids, found, NODES, []), *await judge_traces(otlp, found)]
    sys.stdout.write(f"{kills} kills, {people.counts}, {replays}, {still_open} open\n")
    sys.stdout.write("\n".join(faults[:10]) + "\n")

    assert people.refusals == []
    assert not faults, f"{len(faults)} faults, the first of them above"
    assert Counter(found.runs.values()) == {"succeeded": RUNS}
    assert all(people.counts.values()), people.counts
    assert sum(replays.values()) > 0
    # Where a worker was faster than the run's own row, its status lay there, and was taken.
    assert not set(replays) - {"reissued", "not_awaited", "taken"}
