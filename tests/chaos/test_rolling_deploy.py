"""Each service is replaced by this version's under load, and rolled back: nobody notices.

The last release comes from `releases/`, with packages of its own. `MIRSAL_ROLLS` makes it longer:
that many rounds with every process, in another order each.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from base64 import b64encode
from secrets import token_bytes
from typing import TYPE_CHECKING

import pytest
from mirsal_testing.releases.kept import last_release
from mirsal_testing.releases.rolling import (
    END_SECONDS,
    ORDER,
    Replaced,
    code_of_release,
    prepare_servers,
    replace,
)
from mirsal_testing.releases.source import check_out
from mirsal_testing.releases.traffic import Traffic, open_traffic
from mirsal_testing.stack import Stack
from mirsal_testing.stack.code import THIS_VERSION, Code
from mirsal_testing.storm.witness import open_witness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from mirsal_testing.storm.strikes import InHand

ROLLS = int(os.environ.get("MIRSAL_ROLLS", "0"))
RATE = 40.0
PAIRS = ("orchestrator", "gateway")
ENDED_SECONDS = 30.0
FAULTS_SHOWN = 10
# A connection that the client had kept may close in the moment in which it is used again.
CUTS_A_GATEWAY = 2
SETTINGS = {
    # Of an installation that the last release made, whose workers read nothing else.
    "MIRSAL_WEBHOOK_KEYS": f"own:{b64encode(token_bytes(32)).decode()}",
    "MIRSAL_RATE_LIMIT_PER_MINUTE": "0",
    "MIRSAL_GATEWAYS": "2",
    "MIRSAL_ORCHESTRATORS": "2",
    # 0.1.0 does not read what is sealed: that is switched on when it is gone (docs/PRIVACY.md).
    "MIRSAL_SEAL_LEADS": "false",
    # So that there is always something under way.
    "MIRSAL_SIMULATOR_SMTP_DELAY_MS": "60",
    "MIRSAL_SIMULATOR_WHATSAPP_DELAY_MS": "60",
    "MIRSAL_SIMULATOR_SHEETS_DELAY_MS": "60",
}
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600 + 240 * ROLLS)]


@pytest.fixture(scope="module")
def released() -> Code:
    return code_of_release(check_out(last_release()))


@pytest.fixture
def stack(mirsal_server_folder: Path, released: Code) -> Iterator[Stack]:
    folder = mirsal_server_folder / "rolling"
    with Stack(folder, environment=SETTINGS, code=released) as running:
        yield running


async def roll(
    stack: Stack, code: Code, order: Sequence[str], in_hand: InHand, indexes: Sequence[int]
) -> AsyncIterator[Replaced]:
    for part in order:
        for index in indexes if part in PAIRS else (1,):
            yield await replace(stack, part, code, in_hand, index=index)


async def there_and_back(stack: Stack, released: Code, traffic: Traffic) -> list[Replaced]:
    """To this version and back to the release before; the short form leaves one of each pair."""
    ended: list[Replaced] = []
    chance = random.Random(7)  # noqa: S311 - repeatable chance, no secret
    async with open_witness(stack, traffic.messages) as witness:

        async def in_hand(part: str, at: float) -> int:
            return traffic.count_open(at) if part == "gateway" else await witness.count(part, at)

        prepare_servers(stack)
        for number in range(max(1, ROLLS)):
            order = list(ORDER)
            if number:
                chance.shuffle(order)
            indexes = (1, 2) if ROLLS else (1,)
            for code, way in ((THIS_VERSION, order), (released, order[::-1])):
                async for one in roll(stack, code, way, in_hand, indexes):
                    sys.stdout.write(f"{one}\n")
                    ended.append(one)
    return ended


async def test_versions_are_mixed_and_nothing_is_lost_doubled_or_refused(
    stack: Stack, released: Code
) -> None:
    began = time.monotonic()
    async with open_traffic(stack) as traffic, asyncio.TaskGroup() as load:
        flow = load.create_task(traffic.flow(RATE))
        ended = await there_and_back(stack, released, traffic)
        seconds = time.monotonic() - began
        traffic.end()
        await flow
        faults = await traffic.faults(ENDED_SECONDS)
    sys.stdout.write(f"{traffic.accepted} runs in {seconds:.0f} s, {traffic.looks} looks, ")
    sys.stdout.write(f"{traffic.cuts} calls cut, {len(faults)} faults\n")
    sys.stdout.write("\n".join(faults[:FAULTS_SHOWN]) + "\n")

    assert not faults, f"{len(faults)} faults, the first of them above"
    assert {one.exit_code for one in ended} == {0}
    assert max(one.seconds for one in ended) < END_SECONDS
    assert all(one.in_hand for one in ended if one.number == 1)
    assert traffic.cuts <= CUTS_A_GATEWAY * sum(one.part == "gateway" for one in ended)
    assert traffic.accepted > RATE * seconds / 2
