"""One look for all: whoever waits for a run or an execution shares one statement with the others.

No events are waited for, only tables are looked at: so nothing is missed, and while nobody
watches nothing is read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TypeAlias

from gateway.problems import Problem
from gateway.store import DatabaseUnavailable
from gateway.watching.store import Sight, Subject

MOST_WATCHERS: Final = 256
"""Callers who wait and open streams of one process: half of the calls that it serves at once."""
SHORTEST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 0.25

Look: TypeAlias = Callable[[Collection[Subject]], Awaitable[Mapping[Subject, Sight]]]
Wanted: TypeAlias = Callable[[Sight], bool]


class NoPlace(Problem):
    """503: too many watch already."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "unavailable",
            "Temporarily unavailable",
            "Too many callers wait, or have a stream open.",
            headers={"Retry-After": "1"},
        )


class Lookout:
    """Looks at everything that is watched, with pauses that grow while nothing moves."""

    def __init__(self, look: Look, *, most: int = MOST_WATCHERS) -> None:
        self._look = look
        self._most = most
        self._taken = 0
        self._watches: dict[Subject, dict[asyncio.Future[None], Wanted]] = {}
        self._joined = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.is_closed = False

    @contextmanager
    def take_place(self) -> Iterator[None]:
        """A place among those who watch. Raises `NoPlace` when all are taken."""
        if self._taken >= self._most:
            raise NoPlace
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def wait(self, subject: Subject, wanted: Wanted, seconds: float) -> None:
        """Return when a look shows what is `wanted`, after so many seconds, or once closed."""
        if self.is_closed:
            return
        found: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watches.setdefault(subject, {})[found] = wanted
        self._joined.set()
        if self._task is None:
            self._task = asyncio.create_task(self._keep_looking())
        try:
            await asyncio.wait({found}, timeout=seconds)
        finally:
            watches = self._watches[subject]
            del watches[found]
            if not watches:
                del self._watches[subject]

    def close(self) -> None:
        """Let everybody go, now and from now on: the process stops."""
        self.is_closed = True
        if self._task is not None:
            self._task.cancel()
        for watches in self._watches.values():
            for found in watches:
                _finish(found)

    async def _keep_looking(self) -> None:
        pause = SHORTEST_PAUSE
        try:
            while self._watches:
                self._joined.clear()
                try:
                    has_moved = self._tell(await self._look(tuple(self._watches)))
                except DatabaseUnavailable:
                    has_moved = False
                pause = SHORTEST_PAUSE if has_moved else min(1.5 * pause, LONGEST_PAUSE)
                # However many join, there is no more than one look in this time.
                await asyncio.sleep(SHORTEST_PAUSE)
                if await _comes(self._joined, pause - SHORTEST_PAUSE):
                    pause = SHORTEST_PAUSE
        finally:
            self._task = None

    def _tell(self, sights: Mapping[Subject, Sight]) -> bool:
        """Wake those who see what they want; whether there were any."""
        fulfilled = [
            found
            for subject, sight in sights.items()
            for found, wanted in self._watches.get(subject, {}).items()
            if wanted(sight)
        ]
        for found in fulfilled:
            _finish(found)
        return bool(fulfilled)


def _finish(found: asyncio.Future[None]) -> None:
    if not found.done():
        found.set_result(None)


async def _comes(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
