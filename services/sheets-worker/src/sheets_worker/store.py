"""What is known of tabs and written rows, in PostgreSQL; the SQL is in `queries.sql`."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple, TypeAlias
from uuid import UUID

import asyncpg
from mirsal_runtime.queries import load_queries

from sheets_worker.rows import Placed, Row, TabName

UPKEEP_SECONDS = 60.0

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

_SQL = load_queries("sheets_worker")
AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


class StoreUnavailable(Exception):
    """PostgreSQL did not answer as it should; whether it did what was asked is open."""


class Written(NamedTuple):
    """A row that is in its place."""

    row: Row
    placed: Placed
    backfill: bool = False


class Known(NamedTuple):
    """Where a row is; `backfilled`: it came from BigQuery to the sheet."""

    placed: Placed
    backfilled: bool

    @property
    def in_sheet(self) -> bool:
        """Whether the sheet has it."""
        return self.placed.place == "sheet" or self.backfilled


class Note(NamedTuple):
    """A write that is under way, or nobody saw end. `age` in seconds, by PostgreSQL's clock."""

    id: UUID
    keys: Sequence[str]
    workspaces: Sequence[str]
    age: float
    ended: bool


class TabState(NamedTuple):
    """What is known of a tab."""

    note: Note | None = None
    last_row: int = 1
    formatted_columns: frozenset[str] = frozenset()


class SheetStore:
    """The tables of this service. Every call raises `StoreUnavailable`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find(self, keys: Sequence[str]) -> dict[str, Known]:
        """Where the rows of these keys are, as far as is known."""
        rows = await self._fetch("find_rows", list(keys))
        return {
            row["row_key"]: Known(
                Placed(row["place"], row["target"], row["row_number"], row["reason"]),
                row["backfilled"],
            )
            for row in rows
        }

    async def remember(self, tab: TabName, written: Sequence[Written]) -> None:
        """Note where rows are. Of a row that is known already only its way from BigQuery to the
        sheet is news."""
        await self._fetch("remember_rows", *tab, *_columns(written))

    async def forget(self, older_than_seconds: float) -> None:
        """Remove some rows that were written so long ago and wait for nothing."""
        await self._fetch("forget_rows", older_than_seconds)

    async def look(self, tab: TabName) -> TabState:
        """What is known of a tab."""
        rows = await self._fetch("look", *tab.identity)
        if not rows:
            return TabState()
        row = rows[0]
        note = None
        if row["write_id"] is not None:
            note = Note(
                row["write_id"],
                row["write_keys"],
                row["write_workspaces"],
                row["age"],
                row["write_ended"],
            )
        return TabState(note, row["last_row"], frozenset(row["formatted_columns"]))

    async def begin(
        self,
        tab: TabName,
        write_id: UUID,
        keys: Sequence[str],
        workspaces: Sequence[str],
        workspace: str,
    ) -> bool:
        """Note that a write begins, and what to look for; False while another one is noted."""
        return bool(
            await self._fetch(
                "begin_write", *tab.identity, workspace, write_id, list(keys), list(workspaces)
            )
        )

    async def end(
        self,
        tab: TabName,
        write_id: UUID,
        *,
        written: Sequence[Written] = (),
        last_row: int | None = None,
        formatted: Sequence[str] = (),
    ) -> None:
        """Take the note away, together with what became of the write."""
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                if written:
                    await connection.execute(_SQL["remember_rows"], *tab, *_columns(written))
                await connection.execute(
                    _SQL["end_write"], *tab.identity, write_id, last_row, list(formatted)
                )
        except AWAY as error:
            raise StoreUnavailable(repr(error)) from error

    async def mark_ended(self, tab: TabName, write_id: UUID) -> None:
        """Google has ended the write: what it did is there to be seen."""
        await self._fetch("mark_write_ended", *tab.identity, write_id)

    async def _fetch(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        try:
            return await self._pool.fetch(_SQL[name], *arguments)
        except AWAY as error:
            raise StoreUnavailable(repr(error)) from error


def _columns(written: Sequence[Written]) -> tuple[list[object], ...]:
    # In the order of keys, so that statements cannot deadlock.
    ordered = sorted(written, key=lambda each: each.row.key)
    return (
        [each.row.key for each in ordered],
        [each.row.workspace for each in ordered],
        [each.placed.place for each in ordered],
        [each.placed.target for each in ordered],
        [each.placed.row for each in ordered],
        [each.placed.reason for each in ordered],
        [each.backfill for each in ordered],
    )


async def keep_store_small(store: SheetStore, keep_seconds: float) -> None:
    """Forget what is old, now and then, until cancelled."""
    while True:
        await asyncio.sleep(UPKEEP_SECONDS)
        with suppress(StoreUnavailable):
            await store.forget(keep_seconds)
