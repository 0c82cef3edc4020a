"""Brings rows that are in BigQuery to their sheet once that takes rows again.

By the writers that write all rows, under the row keys: a row that came there unseen is found.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime
from typing import NamedTuple

import structlog
from mirsal_contracts.nodes.google_sheets import CellType
from mirsal_runtime.attempts import log_fault
from mirsal_runtime.failures import AttemptFailure

from sheets_worker.bigquery.rows import BigQueryRows, NoOverflow
from sheets_worker.cells import raw_cell
from sheets_worker.jobs import Answer, Job
from sheets_worker.overflow_store import Backlog, Cursor, Hold, OverflowStore
from sheets_worker.rows import Column, Row, TabName
from sheets_worker.store import StoreUnavailable

MOST_ROWS = 200
"""Of a tab under way at a time."""
JOB_SECONDS = 60.0
LONGEST_PAUSE = 1800.0

Submit = Callable[[TabName, Job], Awaitable[Answer]]
"""Has a row written by the account that it names."""
log = structlog.get_logger(__name__)


class Rest(NamedTuple):
    """A tab that did not take a row: until when it is left alone (monotonic), how long that is."""

    until: float
    seconds: float


class Backfill:
    """One process at a time brings rows back; each of its steps may be its last one."""

    def __init__(
        self,
        overflow: BigQueryRows | NoOverflow,
        store: OverflowStore,
        submit: Submit,
        *,
        poll_seconds: float,
    ) -> None:
        self._overflow = overflow
        self._store = store
        self._submit = submit
        self._poll = poll_seconds
        self._resting: dict[Backlog, Rest] = {}

    async def run(self) -> None:
        """Until cancelled; at once over where there is no BigQuery."""
        while self._overflow.takes_rows:
            try:
                async with self._store.hold_backfill() as hold:
                    while hold is not None:
                        await self._round(hold)
                        await asyncio.sleep(self._poll)
            except StoreUnavailable as error:
                log.warning("sheet_store_away", error=error)
            await asyncio.sleep(self._poll)

    async def _round(self, hold: Hold) -> None:
        await hold.check()
        waiting = await self._store.tabs_to_backfill()
        self._resting = {each: rest for each, rest in self._resting.items() if each in set(waiting)}
        now = time.monotonic()
        for backlog in waiting:
            rest = self._resting.get(backlog)
            if rest is None or rest.until <= now:
                try:
                    await self.bring_back(backlog, hold)
                except StoreUnavailable:
                    raise
                except Exception as fault:  # noqa: BLE001 - other tabs' rows must still come back
                    log_fault(fault, "google_sheets")
                    self._rest(backlog, "internal_error")

    async def bring_back(self, backlog: Backlog, hold: Hold) -> None:
        """The rows of one tab, until it takes no more: one at first, to see whether it does."""
        cursor, most, lacking = Cursor(), 1, 0
        tab = backlog.tab
        while found := await self._store.rows_to_backfill(backlog, cursor, most):
            await hold.check()
            cursor = found[-1]
            try:
                rows = await self._overflow.find(tab, [each.row_key for each in found])
            except AttemptFailure as failure:
                self._rest(backlog, failure.code)
                return
            lacking += len(found) - len(rows)
            failure_met = await self._write(backlog, rows)
            if failure_met is not None:
                self._rest(backlog, failure_met.code)
                return
            most = MOST_ROWS
        self._resting.pop(backlog, None)
        if lacking:
            # Somebody has deleted them, or they cannot be seen yet: each look costs money.
            self._rest(backlog, "rows_not_seen")

    async def _write(self, backlog: Backlog, rows: Sequence[Row]) -> AttemptFailure | None:
        """Write rows; what kept some of them from it."""
        tab, workspace, credential_id = backlog
        if credential_id is not None:
            rows = [row._replace(workspace=workspace, credential_id=credential_id) for row in rows]
        jobs = [make_job(row) for row in rows]
        answers = await asyncio.gather(
            *(self._submit(tab, job) for job in jobs), return_exceptions=True
        )
        failures = [each for each in answers if isinstance(each, BaseException)]
        if len(answers) > len(failures):
            log.info(
                "rows_brought_back",
                spreadsheet_id=tab.spreadsheet_id,
                rows=len(answers) - len(failures),
            )
        for failure in failures:
            if not isinstance(failure, AttemptFailure):
                raise failure
        return next((each for each in failures if isinstance(each, AttemptFailure)), None)

    def _rest(self, backlog: Backlog, code: str) -> None:
        before = self._resting.get(backlog)
        seconds = self._poll if before is None else min(2 * before.seconds, LONGEST_PAUSE)
        self._resting[backlog] = Rest(time.monotonic() + seconds, seconds)
        log.info(
            "backfill_rests",
            spreadsheet_id=backlog.tab.spreadsheet_id,
            code=code,
            seconds=round(seconds, 1),
        )


def make_job(row: Row) -> Job:
    """The job that writes a row which comes back."""
    columns = [Column(name, _kind_of(value)) for name, value in row.values.items()]
    return Job(
        kind=("append",),
        row=row,
        seconds=JOB_SECONDS,
        columns=columns,
        cells={name: raw_cell(value) for name, value in row.values.items()},
        returns=True,
    )


def _kind_of(value: object) -> CellType | None:
    if isinstance(value, datetime):
        return "datetime"
    return "date" if isinstance(value, date) else None
