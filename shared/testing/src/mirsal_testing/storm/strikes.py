"""Killing one process of a stack in the midst of its work, with the proof that it happened."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from mirsal_testing.stack import Stack

RESTART_SECONDS = 30.0
LOOK_SECONDS = 20.0
# Long enough for work to begin or end between two looks, and never in step with it.
PAUSES = (0.005, 0.05)

InHand: TypeAlias = Callable[[str, float], Awaitable[int]]
"""How much work the part has in hand that was stopped at that moment (wall clock, seconds)."""


class Strike(NamedTuple):
    """One kill: which part, when it died and when all was ready again (wall clock, seconds).

    `in_hand` is how much it had begun and not finished, as others saw it while it stood still.
    """

    part: str
    killed_at: float
    ready_at: float
    in_hand: int


async def strike(stack: Stack, part: str, in_hand: InHand) -> Strike:
    """SIGKILL the first process of `part` at work; returns when its successor is ready.

    Raises `AssertionError` if it had nothing in hand for `LOOK_SECONDS`, did not die or was not
    started anew.
    """
    starts = stack.starts(part)
    count = await stop_at_work(stack, part, in_hand)
    killed_at = time.time()
    pid = stack.kill(part)
    await stack.wait_ready(RESTART_SECONDS)
    if pid in stack.pids(part).values() or stack.starts(part) <= starts:
        raise AssertionError(f"{part} ({pid}) was not killed: nothing was tested")
    return Strike(part, killed_at, time.time(), count)


async def stop_at_work(stack: Stack, part: str, in_hand: InHand) -> int:
    """SIGSTOP, look, and SIGCONT unless it has work in hand: then it stays stopped."""
    give_up = time.monotonic() + LOOK_SECONDS
    while time.monotonic() < give_up:
        stack.pause(part)
        count = 0
        try:
            count = await in_hand(part, time.time())
        finally:
            if not count:
                stack.resume(part)
        if count:
            return count
        await asyncio.sleep(random.uniform(*PAUSES))  # noqa: S311 - no secret
    raise AssertionError(f"{part} had nothing in hand for {LOOK_SECONDS:.0f} s: no kill to test")
