"""Tasks end, however often they must be told."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from mirsal_runtime.tasks import cancel


async def go_on_once() -> None:
    """As a loop around a call that swallows the first cancellation."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.Event().wait()


async def fail() -> None:
    await asyncio.sleep(0)
    raise LookupError("lost")


async def end() -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize("work", [go_on_once, fail, end])
async def test_tasks_end(work: Callable[[], Awaitable[None]]) -> None:
    tasks = [asyncio.ensure_future(work()) for _ in range(2)]
    await asyncio.sleep(0.01)
    async with asyncio.timeout(5):
        await cancel(*(task for task in tasks if isinstance(task, asyncio.Task)))
    assert all(task.done() for task in tasks)
