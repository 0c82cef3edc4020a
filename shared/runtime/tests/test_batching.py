"""Group commit: who shares a flush with whom, and what becomes of each caller."""

import asyncio
from collections.abc import Sequence

import pytest
from mirsal_runtime.batching import Batcher


class Flushes:
    """Doubles its items, and remembers each batch; waits for `gate` when there is one."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate: asyncio.Event | None = None
        self.at_once = 0
        self.most_at_once = 0

    async def __call__(self, items: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(items))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        if self.gate is not None:
            await self.gate.wait()
        self.at_once -= 1
        if -1 in items:
            raise LookupError("minus one")
        return [2 * item for item in items]


async def test_items_that_come_together_share_a_flush() -> None:
    flushes = Flushes()
    batcher = Batcher(flushes)
    assert await asyncio.gather(*(batcher.submit(n) for n in range(5))) == [0, 2, 4, 6, 8]
    assert flushes.batches == [[0, 1, 2, 3, 4]]


async def test_items_gather_while_a_flush_is_under_way() -> None:
    flushes = Flushes()
    flushes.gate = asyncio.Event()
    batcher = Batcher(flushes, limit=2)
    first = asyncio.create_task(batcher.submit(1))
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(batcher.submit(n)) for n in (2, 3, 4)]
    await asyncio.sleep(0.01)
    flushes.gate.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6, 8]
    assert flushes.batches == [[1], [2, 3], [4]]


async def test_one_call_after_the_other_never_waits_for_a_third() -> None:
    """A caller that submits again at once meets a drain that is just ending."""
    batcher = Batcher(Flushes())
    async with asyncio.timeout(5):
        assert [await batcher.submit(n) for n in range(100)] == [2 * n for n in range(100)]


async def test_no_more_flushes_at_once_than_allowed() -> None:
    flushes = Flushes()
    batcher = Batcher(flushes, limit=1, parallel=2)
    await asyncio.gather(*(batcher.submit(n) for n in range(6)))
    assert flushes.most_at_once == 2


async def test_failure_is_its_own_batch_s_only() -> None:
    flushes = Flushes()
    batcher = Batcher(flushes, limit=2)
    answers = await asyncio.gather(
        *(batcher.submit(n) for n in (1, -1, 3, 4)), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [LookupError, LookupError, int, int]
    assert await batcher.submit(5) == 10


async def test_cancelled_caller_leaves_the_others_alone() -> None:
    flushes = Flushes()
    flushes.gate = asyncio.Event()
    batcher = Batcher(flushes)
    first, second = (asyncio.create_task(batcher.submit(n)) for n in (1, 2))
    await asyncio.sleep(0.01)
    first.cancel()
    flushes.gate.set()
    assert await second == 4
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_wrong_number_of_answers_reaches_every_caller() -> None:
    async def lose_one(items: Sequence[int]) -> Sequence[int]:
        await asyncio.sleep(0)
        return list(items)[1:]

    batcher = Batcher(lose_one)
    answers = await asyncio.gather(*(batcher.submit(n) for n in (1, 2)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ValueError, ValueError]
