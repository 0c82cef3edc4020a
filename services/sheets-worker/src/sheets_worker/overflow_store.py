"""Rows that are bound for BigQuery, or there, in PostgreSQL; the SQL is in `overflow.sql`."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias

import asyncpg
from mirsal_runtime.queries import load_queries

from sheets_worker.rows import Column, Placed, Row, TabName
from sheets_worker.store import AWAY, Pool, StoreUnavailable

_SQL = load_queries("sheets_worker", "overflow.sql")

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


class Overflowing(NamedTuple):
    """A row that its sheet did not take, and why; `backfill`: it shall go there later."""

    tab: TabName
    row: Row
    columns: Sequence[Column]
    reason: str
    backfill: bool


class Bound(NamedTuple):
    """What is known of a row; `stored`: it is in its place."""

    placed: Placed
    stored: bool


class Backlog(NamedTuple):
    """Rows that a tab lacks, of one account; the environment's is that of all workspaces."""

    tab: TabName
    workspace: str = ""
    credential_id: str | None = None


class Cursor(NamedTuple):
    """A place in the order in which rows went to BigQuery."""

    written_at: datetime = datetime.min.replace(tzinfo=UTC)
    row_key: str = ""


class OverflowStore:
    """Every call raises `StoreUnavailable`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def bind(
        self, tab: TabName, target: str, rows: Sequence[Overflowing]
    ) -> tuple[set[str], set[str]]:
        """Have rows go to BigQuery and nowhere else.

        Gives the keys of those that were not bound before, and of those that a write to the sheet
        which is under way may hold: these are not bound.
        """
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_SQL["have_tab"], *tab.identity, rows[0].row.workspace)
                noted = set(await connection.fetchval(_SQL["lock_tab"], *tab.identity) or ())
                free = [each for each in rows if each.row.key not in noted]
                found = await connection.fetch(
                    _SQL["bind_rows"],
                    *tab,
                    target,
                    [each.row.key for each in free],
                    [each.row.workspace for each in free],
                    [each.reason for each in free],
                    [each.backfill for each in free],
                    [each.row.credential_id for each in free],
                )
        except AWAY as error:
            raise StoreUnavailable(repr(error)) from error
        return {row["row_key"] for row in found}, noted

    async def find(self, keys: Sequence[str]) -> dict[str, Bound]:
        """What is known of rows."""
        rows = await self._fetch("find_bound", list(keys))
        return {
            row["row_key"]: Bound(
                Placed(row["place"], row["target"], row["row_number"], row["reason"]),
                row["place"] == "sheet" or row["stored"],
            )
            for row in rows
        }

    async def store(self, keys: Sequence[str]) -> None:
        """These rows are in BigQuery."""
        await self._fetch("store_rows", list(keys))

    async def unbind(self, keys: Sequence[str]) -> None:
        """These rows surely are not in BigQuery: they may go anywhere."""
        await self._fetch("unbind_rows", list(keys))

    async def tabs_to_backfill(self) -> list[Backlog]:
        """The tabs that lack rows which are in BigQuery, by account."""
        rows = await self._fetch("tabs_to_backfill")
        return [
            Backlog(
                TabName(row["spreadsheet_id"], row["sheet"]), row["owner"], row["credential_id"]
            )
            for row in rows
        ]

    async def rows_to_backfill(self, backlog: Backlog, after: Cursor, most: int) -> list[Cursor]:
        """The next of those rows, in the order in which they came."""
        tab, workspace, credential_id = backlog
        rows = await self._fetch("rows_to_backfill", *tab, *after, most, workspace, credential_id)
        return [Cursor(row["written_at"], row["row_key"]) for row in rows]

    @asynccontextmanager
    async def hold_backfill(self) -> AsyncIterator["Hold | None"]:
        """The right to bring rows back, which one process has at a time; None: another has it.

        It ends with its session: a holder that dies holds nothing.
        """
        try:
            async with self._pool.acquire() as connection:
                if not await connection.fetchval(_SQL["hold_backfill"]):
                    yield None
                    return
                try:
                    yield Hold(connection)
                finally:
                    with suppress(*AWAY):
                        await connection.execute(_SQL["release_backfill"])
        except AWAY as error:
            raise StoreUnavailable(repr(error)) from error

    async def _fetch(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        try:
            return await self._pool.fetch(_SQL[name], *arguments)
        except AWAY as error:
            raise StoreUnavailable(repr(error)) from error


class Hold:
    """The right to bring rows back, as long as its session lasts."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def check(self) -> None:
        """Raises `StoreUnavailable` once it is lost."""
        try:
            await self._connection.execute("SELECT 1")
        except AWAY as error:
            raise StoreUnavailable(repr(error)) from error
