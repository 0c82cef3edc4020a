"""Waiting for an answer no longer than it is of use."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

LAST_LOOKS = 8

AnswerT = TypeVar("AnswerT")

_abandoned: set[asyncio.Task[Any]] = set()


async def within(seconds: float, work: Coroutine[Any, Any, AnswerT]) -> AnswerT:
    """The work's answer if it comes in time. Raises `TimeoutError`, and what the work raises.

    Work that is late is cancelled and not waited for: clients of servers that hang may take
    their time to give up. A loop that was late itself looks again for what has arrived
    meanwhile, so that a moment of much work here does not look like a server's silence.
    """
    task = asyncio.create_task(work)
    _abandoned.add(task)
    task.add_done_callback(_forget)
    try:
        await asyncio.wait({task}, timeout=seconds)
        for _ in range(LAST_LOOKS):
            if task.done():
                return task.result()
            await asyncio.sleep(0)
        raise TimeoutError
    finally:
        task.cancel()


def _forget(task: asyncio.Task[Any]) -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        # Asked for, so that asyncio does not complain of an error that nobody waits for any more.
        task.exception()
