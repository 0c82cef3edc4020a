"""Killing one process of a stack, with the proof that it happened."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mirsal_testing.stack import Stack

RESTART_SECONDS = 30.0


class Strike(NamedTuple):
    """One kill: which part, when it died and when all was ready again (wall clock, seconds)."""

    part: str
    killed_at: float
    ready_at: float


async def strike(stack: Stack, part: str) -> Strike:
    """SIGKILL the first process of `part`; returns when its successor is ready.

    Raises `AssertionError` if the process did not die or was not started anew.
    """
    starts = stack.starts(part)
    killed_at = time.time()
    pid = stack.kill(part)
    await stack.wait_ready(RESTART_SECONDS)
    if pid in stack.pids(part).values() or stack.starts(part) <= starts:
        raise AssertionError(f"{part} ({pid}) was not killed: nothing was tested")
    return Strike(part, killed_at, time.time())
