"""One command on its way through its tab: what it wants, how long it waits, and its answer."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import orjson
from mirsal_runtime.attempt import Attempt, ClaimRefused

from sheets_worker.cells import RawCell
from sheets_worker.params import SheetsParams, SheetsResult
from sheets_worker.rows import Column, Placed, Row

Answer: TypeAlias = Placed | SheetsResult

# Of its time a command waits so much in the tab's queue at most: the rest is for the call.
WAITING_SHARE = 0.7


@dataclass(slots=True, eq=False)
class Job:
    """A command, or a row that comes back from BigQuery (`returns`, without an attempt).

    `kind` says which jobs may share a request. `patience` is for how many seconds the tab may be
    in trouble before the row goes elsewhere; None: it does not. `uncertain`: nobody knows
    whether the sheet has its row, so it must not. `impatient`: it failed since its patience ended.
    """

    kind: tuple[str, ...]
    row: Row
    seconds: float
    params: SheetsParams | None = None
    attempt: Attempt | None = None
    columns: Sequence[Column] = ()
    cells: Mapping[str, RawCell] = field(default_factory=dict)
    patience: float | None = None
    returns: bool = False
    uncertain: bool = False
    impatient: bool = False
    claimed: bool = False
    size: int = 0
    give_up_at: float = 0.0
    answer: asyncio.Future[Answer] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def __post_init__(self) -> None:
        self.size = len(orjson.dumps(self.cells)) + len(self.row.key) + 16
        self.give_up_at = time.monotonic() + WAITING_SHARE * self.seconds

    @property
    def key(self) -> str:
        """The row key."""
        return self.row.key

    @property
    def workspace(self) -> str:
        """Whose it is."""
        return self.row.workspace

    @property
    def traceparent(self) -> str:
        """The trace of its attempt."""
        return "" if self.attempt is None else self.attempt.traceparent

    @property
    def over(self) -> bool:
        """Whether it has its answer, or nobody waits for one any more."""
        return self.answer.done()

    async def claim(self) -> bool:
        """Ask for the right to write, once; False where there is none (any more)."""
        if self.over:
            return False
        if self.attempt is not None and not self.claimed:
            try:
                seconds = await self.attempt.claim()
            except ClaimRefused as refusal:
                self.fail(refusal)
                return False
            self.claimed = True
            self.give_up_at = time.monotonic() + WAITING_SHARE * seconds
        return not self.over

    def succeed(self, answer: Answer) -> None:
        """It is done."""
        if not self.answer.done():
            self.answer.set_result(answer)

    def fail(self, error: Exception) -> None:
        """It cannot be done now, or ever."""
        if not self.answer.done():
            self.answer.set_exception(error)


def traces_of(jobs: Iterable[Job]) -> list[str]:
    """The contexts of the attempts that jobs are for."""
    return [job.traceparent for job in jobs if job.traceparent]
