"""What is known of tabs and written rows, in PostgreSQL; the SQL is in `queries.sql`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from mirsal_runtime.queries import load_queries

from sheets_worker.rows import Placed, Row, TabName

if TYPE_CHECKING:
    import asyncpg

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

_SQL = load_queries("sheets_worker")


class Written(NamedTuple):
    """A row that is in its place."""

    row: Row
    placed: Placed
    backfill: bool = False


class RowLedger:
    """Where each row went. Raises asyncpg's errors."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find(self, keys: Sequence[str]) -> dict[str, Placed]:
        """Where the rows of these keys are, as far as is known."""
        rows = await self._pool.fetch(_SQL["find_rows"], list(keys))
        return {
            row["row_key"]: Placed(row["place"], row["target"], row["row_number"], row["reason"])
            for row in rows
        }

    async def remember(self, tab: TabName, written: Sequence[Written]) -> None:
        """Note where rows are; what is known of a row already stays."""
        await self._pool.execute(
            _SQL["remember_rows"],
            tab.spreadsheet_id,
            tab.sheet,
            [each.row.key for each in written],
            [each.row.workspace for each in written],
            [each.placed.place for each in written],
            [each.placed.target for each in written],
            [each.placed.row for each in written],
            [each.placed.reason for each in written],
            [each.backfill for each in written],
        )
