"""An answer that many may ask for and that is fetched once in a while."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

AnswerT = TypeVar("AnswerT")


class Recent(Generic[AnswerT]):
    """`read`'s answer, at most `seconds` old, or `rest` times as long as reading it took, but never
    more than `longest`; while it is being read all wait for the same one.

    What `read` raises is raised to those who wait, and not remembered.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[AnswerT]],
        *,
        seconds: float,
        rest: float = 0.0,
        longest: float = 10.0,
    ) -> None:
        self._read = read
        self._seconds = seconds
        self._rest = rest
        self._longest = longest
        self._reading: asyncio.Task[AnswerT] | None = None
        self._known_until = 0.0

    async def get(self) -> AnswerT:
        """The answer."""
        task = self._reading
        if task is None or (task.done() and time.monotonic() >= self._known_until):
            task = self._reading = asyncio.create_task(self._fetch())
        return await asyncio.shield(task)

    async def _fetch(self) -> AnswerT:
        self._known_until = 0.0
        begun = time.monotonic()
        answer = await self._read()
        now = time.monotonic()
        self._known_until = now + max(self._seconds, min(self._longest, self._rest * (now - begun)))
        return answer
