"""Blocking calls in a few threads of their own, which a process that ends does not wait for."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

AnswerT = TypeVar("AnswerT")


class Threads:
    """At most `count` calls at a time; further ones wait for a free thread.

    The threads are daemons: a call that hangs in a socket must not keep the process alive, as
    the threads of `concurrent.futures` do.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._started = 0
        self._busy = 0

    async def run(self, call: Callable[[], AnswerT]) -> AnswerT:
        """The call's answer. A caller that is cancelled leaves the call to run to its end."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[AnswerT] = loop.create_future()

        def tell(result: Any, error: BaseException | None) -> None:
            self._busy -= 1
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(result)

        def job() -> None:
            result, error = None, None
            try:
                result = call()
            except BaseException as raised:  # noqa: BLE001 - the caller gets it
                error = raised
            # The loop may be closed: then nobody waits any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(tell, result, error)

        self._busy += 1
        if self._started < min(self._busy, self._count):
            self._started += 1
            threading.Thread(
                target=self._work, name=f"{self._name}-{self._started}", daemon=True
            ).start()
        self._jobs.put(job)
        return await answer

    def close(self) -> None:
        """Let the threads end once they have nothing to do."""
        for _ in range(self._started):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
