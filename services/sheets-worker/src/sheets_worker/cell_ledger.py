"""How full each workbook is: what a write adds is counted before it is made.

Google's own count is read when ours is old, or says that something does not fit.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import asyncpg
from mirsal_runtime.failures import PermanentError
from mirsal_runtime.queries import load_queries

from sheets_worker.errors import Code
from sheets_worker.fallback import CELLS_OF_A_WORKBOOK, Room
from sheets_worker.rows import TabName
from sheets_worker.store import AWAY, Pool, StoreUnavailable
from sheets_worker.structure import Sheet

RECOUNT_SECONDS = 600.0
"""How long a count is believed: people and other programs change the workbook, too."""
FULL_SECONDS = 60.0
"""How long a workbook that was full is not even looked at."""
MOST_REMEMBERED = 10_000

_SQL = load_queries("sheets_worker", "cell_ledger.sql")


class Workbook(NamedTuple):
    """What the ledger says of a workbook; `age` of the count in seconds."""

    cells: int
    is_full: bool
    age: float


class CellLedger:
    """Cells of all workbooks. Every call raises `StoreUnavailable`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._widths: dict[TabName, int] = {}
        """Columns of a tab's grid: a new row is as wide as that."""

    async def make_room(
        self,
        tab: TabName,
        rows: int,
        workspace: str,
        read_sheets: Callable[[], Awaitable[Sequence[Sheet]]],
    ) -> int:
        """Count rows that are about to be added; how many of them fit.

        Raises `PermanentError` where not one does.
        """
        width = self._widths.get(tab)
        if width is not None and await self._take(tab, rows * width):
            return rows
        known = await self.look(tab.spreadsheet_id)
        if known is not None and known.is_full and known.age < FULL_SECONDS:
            raise full(known.cells)
        sheets = await read_sheets()
        width = self._note_widths(tab, sheets)
        room = Room(sum(sheet.cells for sheet in sheets))
        fitting = room.rows_for(rows, width)
        counted = room.cells + fitting * width
        await self._count(tab, workspace, counted, is_full=fitting < rows)
        if not fitting:
            raise full(room.cells)
        return fitting

    async def note_full(self, tab: TabName, workspace: str) -> None:
        """Google has refused rows for want of cells, whatever we had counted."""
        known = await self.look(tab.spreadsheet_id)
        cells = CELLS_OF_A_WORKBOOK if known is None else known.cells
        await self._count(tab, workspace, cells, is_full=True)

    def forget(self, tab: TabName) -> None:
        """The tab's grid has changed: look again before anything is added."""
        self._widths.pop(tab, None)

    async def look(self, spreadsheet_id: str) -> Workbook | None:
        """What is known of a workbook."""
        rows = await self._fetch("look_at_workbook", spreadsheet_id)
        return None if not rows else Workbook(rows[0]["cells"], rows[0]["is_full"], rows[0]["age"])

    async def _take(self, tab: TabName, cells: int) -> bool:
        found = await self._fetch(
            "take_cells", tab.spreadsheet_id, cells, CELLS_OF_A_WORKBOOK, RECOUNT_SECONDS
        )
        return bool(found)

    async def _count(self, tab: TabName, workspace: str, cells: int, *, is_full: bool) -> None:
        await self._fetch("count_cells", tab.spreadsheet_id, workspace, cells, is_full)

    def _note_widths(self, tab: TabName, sheets: Sequence[Sheet]) -> int:
        if len(self._widths) > MOST_REMEMBERED:
            self._widths.clear()
        wanted = tab.sheet.casefold()
        width = next((each.columns for each in sheets if each.title.casefold() == wanted), 0)
        self._widths[tab] = width
        return width

    async def _fetch(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        try:
            return await self._pool.fetch(_SQL[name], *arguments)
        except AWAY as error:
            raise StoreUnavailable(repr(error)) from error


def full(cells: int) -> PermanentError:
    """The workbook, which has so many cells, has no room for a row."""
    return PermanentError(
        Code.FULL, f"the workbook has {cells} of the {CELLS_OF_A_WORKBOOK} cells there may be"
    )
