"""The way of a row that its sheet does not take: bound for BigQuery, sent, and noted as stored.

Bound first, so that it never is in both: whoever finds a bound row sends it to BigQuery again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import TypeAlias

import structlog
from mirsal_runtime.batching import Batcher
from mirsal_runtime.failures import (
    AttemptFailure,
    OutcomeUnknown,
    PermanentError,
    ThrottledError,
)

from sheets_worker.bigquery.errors import SHORT_SECONDS, BigQueryCode
from sheets_worker.bigquery.rows import BigQueryRows, NoOverflow
from sheets_worker.errors import Code
from sheets_worker.overflow_store import Overflowing, OverflowStore
from sheets_worker.rows import Column, Placed, RowRefused, TabName
from sheets_worker.store import StoreUnavailable

MOST_ROWS = 500
AT_ONCE = 4

Answer: TypeAlias = Placed | RowRefused
log = structlog.get_logger(__name__)


class NotEnded(ThrottledError):
    """A write to the sheet that may hold the row is still noted."""


class Places:
    """Moves rows to BigQuery; those that come while others are under way go together."""

    def __init__(self, overflow: BigQueryRows | NoOverflow, store: OverflowStore) -> None:
        self.overflow = overflow
        self._store = store
        self._batcher: Batcher[Overflowing, Answer] = Batcher(
            self._move_all, limit=MOST_ROWS, parallel=AT_ONCE
        )

    async def move(self, row: Overflowing) -> Placed:
        """Where the row is now. Raises `AttemptFailure`; it is never for good but by BigQuery's
        own verdict on this row."""
        try:
            answer = await self._batcher.submit(row)
        except StoreUnavailable as error:
            raise ThrottledError(
                Code.UNAVAILABLE, f"PostgreSQL does not answer: {error}", retry_after=SHORT_SECONDS
            ) from error
        if isinstance(answer, RowRefused):
            raise _told(answer.failure, row.reason)
        return answer

    async def confirm(self, row: Overflowing) -> Placed | None:
        """Where a row is that was found to be BigQuery's; None: bound, and perhaps not there."""
        try:
            found = (await self._store.find([row.row.key])).get(row.row.key)
        except StoreUnavailable as error:
            raise ThrottledError(
                Code.UNAVAILABLE, f"PostgreSQL does not answer: {error}", retry_after=SHORT_SECONDS
            ) from error
        return found.placed if found is not None and found.stored else None

    async def _move_all(self, rows: Sequence[Overflowing]) -> Sequence[Answer]:
        tabs: defaultdict[TabName, list[int]] = defaultdict(list)
        for index, row in enumerate(rows):
            tabs[row.tab].append(index)
        moved = await asyncio.gather(
            *(self._move_of(tab, [rows[index] for index in found]) for tab, found in tabs.items())
        )
        answers: dict[int, Answer] = {}
        for found, of_tab in zip(tabs.values(), moved, strict=True):
            answers.update(zip(found, of_tab, strict=True))
        return [answers[index] for index in range(len(rows))]

    async def _move_of(self, tab: TabName, rows: Sequence[Overflowing]) -> Sequence[Answer]:
        new, noted = await self._store.bind(tab, self.overflow.table(tab), rows)
        known = await self._store.find([row.row.key for row in rows])
        answers: dict[str, Answer] = {}
        for row in rows:
            key = row.row.key
            found = known.get(key)
            if found is not None and found.stored:
                answers[key] = found.placed
            elif found is None or key in noted:
                answers[key] = RowRefused(_not_ended(NotEnded if key in noted else ThrottledError))
        waiting = [row for row in rows if row.row.key not in answers]
        if waiting:
            answers |= await self._send(tab, waiting, new)
        return [answers[row.row.key] for row in rows]

    async def _send(
        self, tab: TabName, rows: Sequence[Overflowing], new: set[str]
    ) -> dict[str, Answer]:
        try:
            given = await self.overflow.put(tab, _columns_of(rows), [row.row for row in rows])
        except AttemptFailure as failure:
            given = [RowRefused(failure) for _ in rows]
        answers: dict[str, Answer] = {}
        stored: list[str] = []
        free: list[str] = []
        for row, answer in zip(rows, given, strict=True):
            key = row.row.key
            if isinstance(answer, Placed):
                stored.append(key)
                answers[key] = answer._replace(reason=row.reason)
                continue
            answers[key] = answer
            # Of a row that was bound before, an earlier try may have stored it.
            if key in new and not isinstance(answer.failure, OutcomeUnknown):
                free.append(key)
        if stored:
            await self._store.store(stored)
        if free:
            await self._store.unbind(free)
        log.info(
            "rows_overflowed",
            spreadsheet_id=tab.spreadsheet_id,
            stored=len(stored),
            refused=len(rows) - len(stored),
        )
        return answers


def _columns_of(rows: Sequence[Overflowing]) -> list[Column]:
    """All columns of the rows, each once; a type wins over none."""
    columns: dict[str, Column] = {}
    for row in rows:
        for column in row.columns:
            name = column.name.strip()
            if name not in columns or columns[name].type is None:
                columns[name] = Column(name, column.type)
    return list(columns.values())


def _not_ended(kind: type[ThrottledError]) -> ThrottledError:
    return kind(
        Code.UNAVAILABLE,
        "a write to the sheet that may hold the row has not ended",
        retry_after=SHORT_SECONDS,
    )


def _told(failure: AttemptFailure, reason: str) -> AttemptFailure:
    """As the execution is told it: while the row is bound, waiting is all that is left to do."""
    if isinstance(failure, OutcomeUnknown):
        return ThrottledError(
            BigQueryCode.NO_ANSWER,
            f"sent again to BigQuery, which may have it: {failure.message}",
            retry_after=SHORT_SECONDS,
            details=failure.details,
        )
    if isinstance(failure, PermanentError):
        return PermanentError(
            failure.code, f"{failure.message}; the sheet: {reason}", details=failure.details
        )
    return failure
