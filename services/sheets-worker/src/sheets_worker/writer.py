"""A tab's queue: jobs are gathered into groups, one group at a time, and tried until done."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeAlias

import structlog
from mirsal_runtime.attempts import log_fault
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    OutcomeUnknown,
    PermanentError,
    RetryableError,
    ThrottledError,
)

from sheets_worker.calls import MOST_DOUBLINGS
from sheets_worker.errors import Code
from sheets_worker.jobs import Job
from sheets_worker.store import StoreUnavailable
from sheets_worker.tab import Busy, Tab

SHORTEST_PAUSE = 0.2
LONGEST_PAUSE = 15.0
BUSY_PAUSE = 0.3
IDLE_SECONDS = 30.0
LOOK_SECONDS = 0.25
_HALVED = {Code.TOO_LARGE, Code.CELL_TOO_LONG, Code.REFUSED}

Perform: TypeAlias = Callable[[Tab, Sequence[Job]], Awaitable[None]]
log = structlog.get_logger(__name__)


class GroupLimits(NamedTuple):
    """When a group is full."""

    rows: int
    bytes: int
    seconds: float


class TabWriter:
    """Serves the jobs of one tab in order, as long as there are some.

    `performs` serves a group of jobs, by the first word of their kind: it answers jobs, or raises
    what kept all that it has not answered from being done. What it neither answers nor explains
    is tried again.
    """

    def __init__(self, tab: Tab, performs: Mapping[str, Perform], limits: GroupLimits) -> None:
        self._tab = tab
        self._performs = performs
        self._limits = limits
        self._most_rows = limits.rows
        self._jobs: deque[Job] = deque()
        self._news = asyncio.Event()
        self._full = asyncio.Event()
        self._since = 0.0
        self._served_at = 0.0
        self._failures = 0
        self._trouble: AttemptFailure | None = None
        self._trouble_since = 0.0

    def add(self, job: Job) -> None:
        """Have a job served."""
        if not self._jobs:
            self._since = time.monotonic()
        self._jobs.append(job)
        self._news.set()
        if len(self._jobs) >= self._limits.rows:
            self._full.set()

    async def run(self) -> None:
        """Serve until there has been nothing to do for a while."""
        while await self._gather():
            group = self._take()
            if not group:
                continue
            try:
                await self._performs[group[0].kind[0]](self._tab, group)
            except AttemptFailure as failure:
                await self._suffer(group, failure)
            except StoreUnavailable as error:
                log.warning("sheet_store_away", error=error)
                away = RetryableError(Code.UNAVAILABLE, "PostgreSQL does not answer")
                await self._suffer(group, away)
            except Exception as fault:  # noqa: BLE001 - a fault of ours must not stop the tab
                log_fault(fault, "google_sheets")
                for job in group:
                    job.fail(fault)
            else:
                self._served_at = time.monotonic()
                self._recover(group)

    async def _gather(self) -> bool:
        """Wait for a job, and a little for more; False if none came for long."""
        self._drop_over()
        if not self._jobs:
            self._news.clear()
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                return bool(self._jobs)
        self._full.clear()
        # What is gathered while the quota is used up quickly goes in one request, not in five.
        paced = self._served_at + self._tab.calls.pace
        left = max(self._since + self._limits.seconds, paced) - time.monotonic()
        if left > 0 and len(self._jobs) < self._limits.rows:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._full.wait()
        return True

    def _take(self) -> list[Job]:
        """The jobs at the head of the queue that go together."""
        self._drop_over()
        group: list[Job] = []
        size = 0
        while self._jobs and len(group) < self._most_rows:
            job = self._jobs[0]
            size += job.size
            if group and (job.kind != group[0].kind or size > self._limits.bytes):
                break
            group.append(self._jobs.popleft())
        return group

    def _drop_over(self) -> None:
        while self._jobs and self._jobs[0].over:
            self._jobs.popleft()

    def _put_back(self, group: Sequence[Job]) -> None:
        self._jobs.extendleft(job for job in reversed(group) if not job.over)

    def _recover(self, group: Sequence[Job]) -> None:
        """Something worked: whatever was wrong is over."""
        self._put_back(group)
        self._failures = 0
        self._trouble = None
        self._most_rows = min(self._limits.rows, 2 * self._most_rows)

    async def _suffer(self, group: Sequence[Job], failure: AttemptFailure) -> None:
        """A group was not done: who of it is told, and when is the next try."""
        left = [job for job in group if not job.over]
        if isinstance(failure, PermanentError | ActionRequired):
            if failure.code in _HALVED and len(left) > 1:
                self._most_rows = max(1, len(left) // 2)
                self._put_back(left)
                return
            for job in left:
                job.fail(failure)
            return
        if isinstance(failure, Busy):
            for job in left:
                job.uncertain = job.uncertain or job.key in failure.keys
        now = time.monotonic()
        if self._trouble is None:
            self._trouble_since = now
        self._trouble = failure
        self._failures += 1
        self._put_back(left)
        log.info(
            "group_put_back",
            spreadsheet_id=self._tab.name.spreadsheet_id,
            jobs=len(left),
            code=failure.code,
            kind=type(failure).__name__,
        )
        await self._pause(self._pause_after(failure), failure)

    def _pause_after(self, failure: AttemptFailure) -> float:
        if isinstance(failure, ThrottledError):
            return failure.retry_after
        if isinstance(failure, Busy) and not failure.looked:
            return BUSY_PAUSE
        if isinstance(failure, OutcomeUnknown):
            return 0.0
        if isinstance(failure, RetryableError) and failure.retry_after is not None:
            return failure.retry_after
        doublings = min(self._failures - 1, MOST_DOUBLINGS)
        return min(SHORTEST_PAUSE * 2.0**doublings, LONGEST_PAUSE)

    async def _pause(self, seconds: float, failure: AttemptFailure) -> None:
        """Wait, and tell those whose time or patience is over, or will be before it ends."""
        ends = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            self._tell_impatient(now, ends, failure)
            if now >= ends or not self._jobs:
                return
            await asyncio.sleep(min(LOOK_SECONDS, ends - now))

    def _tell_impatient(self, now: float, ends: float, failure: AttemptFailure) -> None:
        for job in self._jobs:
            if job.over:
                continue
            if job.uncertain:
                if now >= job.give_up_at:
                    job.fail(_no_answer(failure))
                continue
            patience_ends = (
                float("inf") if job.patience is None else self._trouble_since + job.patience
            )
            if max(now, ends) >= patience_ends or now >= job.give_up_at:
                job.impatient = max(now, ends) >= patience_ends
                job.fail(_told(failure, max(ends - now, 1.0)))


def _told(failure: AttemptFailure, seconds: float) -> AttemptFailure:
    """A failure as a job is told it that has surely had no effect."""
    if isinstance(failure, ThrottledError):
        return ThrottledError(
            failure.code, failure.message, retry_after=seconds, details=failure.details
        )
    if isinstance(failure, OutcomeUnknown | Busy):
        return RetryableError(Code.UNAVAILABLE, failure.message, details=failure.details)
    return failure


def _no_answer(failure: AttemptFailure) -> AttemptFailure:
    return OutcomeUnknown(Code.NO_ANSWER, failure.message, details=failure.details)
