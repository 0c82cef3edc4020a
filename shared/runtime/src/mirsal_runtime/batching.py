"""Group commit: calls that arrive while one is under way share the next one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")


class Batcher(Generic[ItemT, AnswerT]):
    """Runs `flush` over what has gathered, at most `parallel` flushes at a time.

    `flush` takes up to `limit` items and returns one answer an item, in order. What it raises
    is raised to each caller of that batch. A caller that is cancelled leaves its item to be
    flushed all the same. Nothing waits on a timer: an item that comes while
    no flush is under way goes at once.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[ItemT]], Awaitable[Sequence[AnswerT]]],
        *,
        limit: int = 500,
        parallel: int = 1,
    ) -> None:
        self._flush = flush
        self._limit = limit
        self._parallel = parallel
        self._waiting: deque[tuple[ItemT, asyncio.Future[AnswerT]]] = deque()
        self._flushes: set[asyncio.Task[None]] = set()
        # Counted apart from the tasks: one that has found nothing left to flush is still in the
        # set for a moment, and an item that comes then must begin a new one.
        self._draining = 0

    async def submit(self, item: ItemT) -> AnswerT:
        """Have `item` flushed; its answer."""
        answer: asyncio.Future[AnswerT] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._draining < self._parallel:
            self._draining += 1
            task = asyncio.create_task(self._drain())
            self._flushes.add(task)
            task.add_done_callback(self._flushes.discard)
        return await answer

    async def _drain(self) -> None:
        try:
            while self._waiting:
                count = min(len(self._waiting), self._limit)
                await self._flush_apart([self._waiting.popleft() for _ in range(count)])
        finally:
            self._draining -= 1

    async def _flush_apart(self, batch: list[tuple[ItemT, asyncio.Future[AnswerT]]]) -> None:
        try:
            answers = await self._flush([item for item, _ in batch])
            if len(answers) != len(batch):
                raise ValueError(f"{len(answers)} answers to {len(batch)} items")
        except BaseException as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)
