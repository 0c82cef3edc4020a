"""Every process is killed at work; every accepted run ends, nobody is written to twice, and each
run's trace is whole.

`MIRSAL_CHAOS_SECONDS` makes it longer: then the round of kills begins again.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from mirsal_testing.simulators.whatsapp.client import WhatsAppSimulatorClient
from mirsal_testing.storm.records import open_records
from mirsal_testing.storm.scene import NODES, prepare
from mirsal_testing.storm.strikes import Strike, strike
from mirsal_testing.storm.verdict import judge
from mirsal_testing.storm.witness import open_witness
from mirsal_testing.traces import judge_traces

if TYPE_CHECKING:
    from mirsal_testing.otlp import OtlpReceiver
    from mirsal_testing.stack import Stack
    from mirsal_testing.storm.clients import Clients
    from mirsal_testing.storm.records import Findings

SECONDS = float(os.environ.get("MIRSAL_CHAOS_SECONDS", "25"))
RATE = 100.0
# The broker last: everything waits for it.
VICTIMS = ("orchestrator", "email-worker", "gateway", "whatsapp-worker", "kafka")
PAUSE_SECONDS = 2.0
# The product's promise: this long after the last restart all is done.
DONE_SECONDS = 10.0
FAULTS_SHOWN = 10
WORKFLOW = "storm"
# Messages that the provider puts off, so that there are runs that were retried.
STUMBLES = 40
# Of a client whose server has just been killed the collector may close a socket.
CLOSED_LATE = "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
pytestmark = [
    pytest.mark.chaos,
    pytest.mark.timeout(SECONDS + 180),
    pytest.mark.filterwarnings(CLOSED_LATE),
]


async def strike_in_turn(stack: Stack, clients: Clients) -> list[Strike]:
    """Kill each victim once, and go round again while there is time."""
    strikes: list[Strike] = []
    end = time.monotonic() + SECONDS
    async with open_witness(stack, clients) as witness:
        for victim in itertools.cycle(VICTIMS):
            await asyncio.sleep(PAUSE_SECONDS)
            retries = clients.retries
            strikes.append(await strike(stack, victim, witness.count))
            # Of the two gateways one is gone: the calls that it had were cut.
            assert victim != "gateway" or clients.retries > retries
            if len(strikes) % len(VICTIMS) == 0 and time.monotonic() > end - len(VICTIMS) * 4:
                return strikes
    raise AssertionError("unreachable")


async def stumble(stack: Stack) -> None:
    """Have the next messages refused for now."""
    async with WhatsAppSimulatorClient(stack.environment["MIRSAL_WHATSAPP_SIMULATOR_URL"]) as chats:
        await chats.fail_next(131000, times=STUMBLES)


async def test_nothing_is_lost_nothing_is_sent_twice_and_all_is_told(
    traced_stack: Stack, otlp: OtlpReceiver
) -> None:
    stack = traced_stack
    clients = await prepare(stack, WORKFLOW)
    await stumble(stack)
    enough = asyncio.Event()
    async with open_records(stack, WORKFLOW) as records, asyncio.TaskGroup() as load:
        storm = load.create_task(clients.storm(RATE, enough))
        strikes = await strike_in_turn(stack, clients)
        enough.set()
        await storm
        restarted_at = strikes[-1].ready_at
        ended_at = await records.wait_ended(len(clients.accepted), restarted_at + DONE_SECONDS)
        found = await records.read()
    faults = judge(clients.accepted, found, NODES, strikes)
    gaps = await judge_traces(otlp, found)
    show(clients, found, strikes, ended_at - restarted_at, [*faults, *gaps])

    assert clients.refusals == []
    assert len(clients.accepted) == clients.starts > RATE * SECONDS / 2
    assert {hit.part for hit in strikes if hit.in_hand} == set(VICTIMS)
    assert not faults, f"{len(faults)} faults, the first of them above"
    assert not gaps, f"{len(gaps)} gaps in traces, the first of them above"
    assert sum(row["attempt"] > 1 for row in found.executions) >= STUMBLES
    killed = {span.service for span in otlp.spans if span.error == "process_killed"}
    # What a gateway has in hand it need not have read yet; one that has is in the gateway's own
    # tests, with a call that is surely under way.
    assert killed | {"gateway"} == {hit.part for hit in strikes} - {"kafka"}


def show(
    clients: Clients, found: Findings, strikes: list[Strike], seconds: float, faults: list[str]
) -> None:
    """What happened, for whoever reads the output of a failure."""
    lines = [
        f"{clients.starts} starts, {len(clients.accepted)} accepted, {clients.retries} retries",
        ", ".join(f"{count} {status}" for status, count in Counter(found.runs.values()).items()),
        *(
            f"{hit.part} had {hit.in_hand} in hand, was back after "
            f"{hit.ready_at - hit.killed_at:.1f} s"
            for hit in strikes
        ),
        f"{seconds:.1f} s after the last restart: {len(faults)} faults",
        *faults[:FAULTS_SHOWN],
    ]
    sys.stdout.write("\n".join(lines) + "\n")
