"""The boxes of this process: started, lent for one run at a time, killed and replaced.

One more box than may run at a time is kept warm. No workspace has all of them at once.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog
from mirsal_runtime.log_faults import Told

from code_runner.lockdown import Part, lacking
from code_runner.process import Box, BoxDied, BoxOverran

GRACE_SECONDS: Final = 0.3
SHORTEST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 10.0

log = structlog.get_logger(__name__)


class WallTooWeak(Told):
    """Mandatory parts of the wall cannot be had here; the text says what to do."""


class Said(NamedTuple):
    """What came of a run: the box's words, its logs, and whether these were cut."""

    answer: Mapping[str, Any]
    logs: str
    logs_truncated: bool


class Crew:
    """Boxes to run code in: `boxes` runs at a time, of a workspace as many as `most_of` says."""

    def __init__(
        self,
        artefacts: Mapping[str, Path],
        *,
        boxes: int,
        runs_per_box: int,
        most_of: Callable[[str], int] | None = None,
        do_without: frozenset[Part] = frozenset(),
    ) -> None:
        self._artefacts = artefacts
        self._boxes = boxes
        self._runs_per_box = runs_per_box
        self._most_of = most_of or (lambda _workspace: boxes - 1)
        self._do_without = do_without
        self._idle: deque[Box] = deque()
        self._all: set[Box] = set()
        self._busy = 0
        self._busy_of: Counter[str] = Counter()
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting: set[asyncio.Task[Box]] = set()
        self._closing = False
        self.kills = 0

    @property
    def pids(self) -> list[int]:
        """The processes of the boxes."""
        return [box.pid for box in self._all if not box.ended]

    async def start(self) -> None:
        """Have all boxes warm. Raises `BoxDied` and `WallTooWeak`."""
        first = await self._start_box()
        missing = self._missing(first)
        log.info(
            "box_wall",
            wall={
                part: how.partition(":")[0].partition(" (")[0].replace(" ", "_")
                for part, how in first.wall.items()
            },
        )
        if missing:
            await self.close()
            reasons = "; ".join(f"{part} ({first.wall[part]})" for part in missing)
            raise WallTooWeak(
                f"customers' code would run with less than the wall it needs: {reasons}. Start "
                "the code runner where these can be had, or name them in MIRSAL_CODE_DO_WITHOUT"
            )
        self._add(first)
        await asyncio.gather(*(self._start_one() for _ in range(self._boxes)))

    async def close(self) -> None:
        """End all boxes."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._starting, return_exceptions=True)
        await asyncio.gather(*(box.kill() for box in self._all))
        self._all.clear()
        self._idle.clear()

    @asynccontextmanager
    async def place_for(self, workspace: str) -> AsyncIterator[Box]:
        """A box for one run, once the workspace may have one; what was run in vain is replaced."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._may_have(workspace))
            box = self._take()
            self._busy += 1
            self._busy_of[workspace] += 1
        fit = False
        try:
            yield box
            fit = not box.ended and box.runs < self._runs_per_box
        finally:
            self._busy -= 1
            self._busy_of[workspace] -= 1
            if not self._busy_of[workspace]:
                del self._busy_of[workspace]
            if fit:
                self._idle.append(box)
            else:
                self._spawn(self._replace(box))
            self._spawn(self._tell())

    async def run(self, box: Box, job: Mapping[str, Any], seconds: float) -> Said:
        """Run a job that may last `seconds`; the box is killed shortly after them.

        Raises `BoxDied`, where the fault is not the code's.
        """
        try:
            answer = await box.run(job, seconds + GRACE_SECONDS)
        except BoxOverran:
            self.kills += 1
            said = Said({"overran": True}, *box.read_logs())
            await box.kill()
            return said
        except (BoxDied, asyncio.CancelledError):
            await box.kill()
            raise
        return Said(answer, *box.read_logs())

    def _may_have(self, workspace: str) -> bool:
        return (
            self._busy < self._boxes
            and self._busy_of[workspace] < self._most_of(workspace)
            and any(not box.ended for box in self._idle)
        )

    def _take(self) -> Box:
        box = next(box for box in self._idle if not box.ended)
        self._idle.remove(box)
        return box

    def _add(self, box: Box) -> None:
        self._idle.append(box)
        self._spawn(self._watch(box))

    def _missing(self, box: Box) -> list[Part]:
        return [part for part in lacking(dict(box.wall)) if part not in self._do_without]

    async def _start_one(self) -> None:
        box = await self._start_box()
        missing = self._missing(box)
        if missing:
            await box.kill()
            self._all.discard(box)
            raise BoxDied(f"its wall lacks {', '.join(missing)}")
        self._add(box)

    async def _start_box(self) -> Box:
        """A start is never broken off: what it has begun could not be ended for sure."""

        async def start() -> Box:
            box = await Box.start(self._artefacts)
            self._all.add(box)
            return box

        task = asyncio.create_task(start())
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)
        return await asyncio.shield(task)

    async def _watch(self, box: Box) -> None:
        """Replace a box that dies while nobody uses it."""
        await box.wait_ended()
        if box in self._idle and not self._closing:
            self._idle.remove(box)
            await self._replace(box)

    async def _replace(self, gone: Box) -> None:
        await gone.kill()
        self._all.discard(gone)
        pause = SHORTEST_PAUSE
        while not self._closing:
            try:
                await self._start_one()
            except (BoxDied, OSError) as error:
                # Descriptors or memory may be short for a while: the box is owed all the same.
                log.error("box_not_started", error=error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            await self._tell()
            return

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
