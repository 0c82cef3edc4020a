"""One tab: its cells, stored sparsely, and its rows and columns, which may be millions.

Knows nothing of A1 notation, JSON or how a value came to be what it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirsal_testing.simulators.sheets.a1 import Box
    from mirsal_testing.simulators.sheets.formats import FormatLayers


@dataclass(frozen=True, slots=True)
class Formula:
    """A cell that is computed: its text with the leading `=`."""

    text: str


Value = str | int | float | bool | Formula

DEFAULT_ROWS = 1000
DEFAULT_COLUMNS = 26


@dataclass
class Dimension:
    """The rows or the columns: how many, which are hidden, which have a size of their own."""

    count: int
    hidden: set[int] = field(default_factory=set)
    sizes: dict[int, int] = field(default_factory=dict)

    def insert(self, at: int, number: int) -> None:
        self.count += number
        self.hidden = {index + number if index >= at else index for index in self.hidden}
        self.sizes = {
            index + number if index >= at else index: size for index, size in self.sizes.items()
        }

    def delete(self, at: int, number: int) -> None:
        end = at + number
        self.count -= number
        self.hidden = {
            index - number if index >= end else index
            for index in self.hidden
            if not at <= index < end
        }
        self.sizes = {
            index - number if index >= end else index: size
            for index, size in self.sizes.items()
            if not at <= index < end
        }

    def copy(self) -> Dimension:
        return Dimension(self.count, set(self.hidden), dict(self.sizes))


@dataclass(frozen=True, slots=True)
class TableHint:
    """The table that was found from a seed cell: it can only have grown while no cell went."""

    row: int
    column: int
    box: Box


class Tab:
    """The cells are in `rows[row][column]`; a cell that is not there is empty."""

    def __init__(
        self, sheet_id: int, title: str, rows: int, columns: int, formats: FormatLayers
    ) -> None:
        self.sheet_id = sheet_id
        self.title = title
        self.rows = Dimension(rows)
        self.columns = Dimension(columns)
        self.formats = formats
        self.properties: dict[str, object] = {}
        self.grid_properties: dict[str, object] = {}
        self.table_hint: TableHint | None = None
        self._cells: dict[int, dict[int, Value]] = {}
        self._in_column: dict[int, int] = {}
        self._last_row = -1

    def copy(self) -> Tab:
        twin = Tab(self.sheet_id, self.title, 0, 0, self.formats.copy())
        twin.rows, twin.columns = self.rows.copy(), self.columns.copy()
        twin.properties = dict(self.properties)
        twin.grid_properties = dict(self.grid_properties)
        twin.table_hint = self.table_hint
        twin._cells = {row: dict(cells) for row, cells in self._cells.items()}
        twin._in_column = dict(self._in_column)
        twin._last_row = self._last_row
        return twin

    @property
    def cell_count(self) -> int:
        """What counts for the limit of the workbook: empty cells, too."""
        return self.rows.count * self.columns.count

    @property
    def used_cells(self) -> int:
        return sum(self._in_column.values())

    @property
    def last_row(self) -> int:
        """Index of the last row that has a value; -1 where none has."""
        return self._last_row

    @property
    def last_column(self) -> int:
        return max(self._in_column, default=-1)

    def get(self, row: int, column: int) -> Value | None:
        cells = self._cells.get(row)
        return None if cells is None else cells.get(column)

    def put(self, row: int, column: int, value: Value) -> None:
        cells = self._cells.get(row)
        if cells is None:
            cells = self._cells[row] = {}
            self._last_row = max(self._last_row, row)
        if column not in cells:
            self._in_column[column] = self._in_column.get(column, 0) + 1
        cells[column] = value

    def remove(self, row: int, column: int) -> None:
        cells = self._cells.get(row)
        if cells is None or column not in cells:
            return
        del cells[column]
        self._uncount(column)
        if not cells:
            del self._cells[row]
            if row == self._last_row:
                self._last_row = max(self._cells, default=-1)
        self.table_hint = None

    def clear(self, box: Box) -> None:
        for row in self._rows_in(box.top, box.bottom):
            for column in [c for c in self._cells[row] if box.left <= c < box.right]:
                del self._cells[row][column]
                self._uncount(column)
            if not self._cells[row]:
                del self._cells[row]
        self._last_row = max(self._cells, default=-1)
        self.table_hint = None

    def row_has(self, row: int, left: int, right: int) -> bool:
        """Whether one of the columns from `left` up to before `right` has a value."""
        cells = self._cells.get(row)
        return cells is not None and not cells.keys().isdisjoint(range(left, right))

    def column_has(self, column: int, top: int, bottom: int) -> bool:
        if column not in self._in_column:
            return False
        if bottom - top > len(self._cells):
            return any(top <= row < bottom and column in self._cells[row] for row in self._cells)
        return any(column in cells for row in range(top, bottom) if (cells := self._cells.get(row)))

    def first_used(self, row: int, left: int, right: int) -> int | None:
        cells = self._cells.get(row)
        found = [column for column in cells if left <= column < right] if cells else []
        return min(found, default=None)

    def read(self, box: Box) -> Iterator[tuple[int, dict[int, Value]]]:
        """The rows with values in the box, in order, each with all of its cells by column."""
        for row in sorted(self._rows_in(box.top, box.bottom)):
            yield row, self._cells[row]

    def insert_rows(self, at: int, number: int) -> None:
        self.rows.insert(at, number)
        self.formats.insert_rows(at, number)
        if self.table_hint is not None and self.table_hint.box.bottom > at:
            self.table_hint = None
        if at > self._last_row:
            return
        moved = {row: self._cells.pop(row) for row in self._rows_in(at, self._last_row + 1)}
        self._cells.update((row + number, cells) for row, cells in moved.items())
        self._last_row += number

    def delete_rows(self, at: int, number: int) -> None:
        self.rows.delete(at, number)
        self.formats.delete_rows(at, number)
        for row in self._rows_in(at, at + number):
            for column in self._cells.pop(row):
                self._uncount(column)
        moved = {
            row: self._cells.pop(row) for row in self._rows_in(at + number, self._last_row + 1)
        }
        self._cells.update((row - number, cells) for row, cells in moved.items())
        self._last_row = max(self._cells, default=-1)
        self.table_hint = None

    def insert_columns(self, at: int, number: int) -> None:
        self.columns.insert(at, number)
        self.formats.insert_columns(at, number)
        self._move_columns({c: c + number if c >= at else c for c in self._in_column})

    def delete_columns(self, at: int, number: int) -> None:
        self.columns.delete(at, number)
        self.formats.delete_columns(at, number)
        end = at + number
        self._move_columns(
            {c: c - number if c >= end else c for c in self._in_column if not at <= c < end}
        )

    def _move_columns(self, places: dict[int, int]) -> None:
        """Every column goes to its new place; one that has none loses its cells."""
        moved = {
            row: {places[c]: value for c, value in cells.items() if c in places}
            for row, cells in self._cells.items()
        }
        self._cells = {row: cells for row, cells in moved.items() if cells}
        self._in_column = {places[c]: count for c, count in self._in_column.items() if c in places}
        self._last_row = max(self._cells, default=-1)
        self.table_hint = None

    def _rows_in(self, top: int, bottom: int) -> list[int]:
        if bottom - top > len(self._cells):
            return [row for row in self._cells if top <= row < bottom]
        return [row for row in range(top, bottom) if row in self._cells]

    def _uncount(self, column: int) -> None:
        left = self._in_column[column] - 1
        if left:
            self._in_column[column] = left
        else:
            del self._in_column[column]
