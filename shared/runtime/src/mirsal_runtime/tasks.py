"""Ending tasks for sure."""

import asyncio
from typing import Any

AGAIN_SECONDS = 0.5


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they have ended; what they raise is dropped.

    Cancels again what goes on: `asyncio.wait_for`, which Kafka's client uses, swallows in Python
    3.11 a cancellation that comes in the moment of its answer.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_SECONDS)
    for task in tasks:
        if not task.cancelled():
            task.exception()
