"""All spreadsheets of the simulator, and how a test makes and changes them from outside."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from pydantic import Field

from mirsal_testing.simulators.rulebook import WireModel
from mirsal_testing.simulators.sheets.errors import MAX_CELLS, GoogleError, too_many_cells
from mirsal_testing.simulators.sheets.grid import DEFAULT_COLUMNS, DEFAULT_ROWS
from mirsal_testing.simulators.sheets.workbook import Access, Workbook, check_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mirsal_testing.simulators.sheets.grid import Tab


class TabSpec(WireModel):
    """A tab to begin with; a grid of millions of empty cells costs nothing."""

    title: str = "Sheet1"
    rows: int = Field(default=DEFAULT_ROWS, ge=1)
    columns: int = Field(default=DEFAULT_COLUMNS, ge=1)
    values: list[list[str | int | float | bool | None]] = Field(default_factory=list)


class SpreadsheetSpec(WireModel):
    """A spreadsheet to make; one with the same id is replaced."""

    id: str = ""
    title: str = "Untitled spreadsheet"
    tabs: list[TabSpec] = Field(default_factory=lambda: [TabSpec()])
    access: Access = "writer"


class SpreadsheetChange(WireModel):
    """What is given is changed: `deleted` makes 404 of all calls, `access` 403."""

    title: str | None = None
    access: Access | None = None
    deleted: bool | None = None


class Library:
    """Spreadsheets by id. With `makes_unknown` any id exists from its first call on."""

    def __init__(self, *, makes_unknown: bool = False) -> None:
        self._books: dict[str, Workbook] = {}
        self._makes_unknown = makes_unknown

    def __iter__(self) -> Iterator[Workbook]:
        return iter(self._books.values())

    def __len__(self) -> int:
        return len(self._books)

    def find(self, spreadsheet_id: str) -> Workbook | None:
        return self._books.get(spreadsheet_id)

    def open(self, spreadsheet_id: str, *, writes: bool) -> Workbook:
        """For a call of the API. Raises GoogleError 404 or 403."""
        book = self._books.get(spreadsheet_id)
        if book is None:
            if not self._makes_unknown or not spreadsheet_id:
                raise GoogleError(404)
            book = self.add(SpreadsheetSpec(id=spreadsheet_id, title=spreadsheet_id))
        book.check_access(writes=writes)
        return book

    def add(self, spec: SpreadsheetSpec) -> Workbook:
        """Raises GoogleError where it could not exist at Google either."""
        book = Workbook(spec.id or make_spreadsheet_id(), spec.title)
        book.access = spec.access
        for each in spec.tabs:
            tab = book.add_tab(each.title, rows=each.rows, columns=each.columns)
            _fill(tab, each.values)
        self._books[book.spreadsheet_id] = book
        return book

    def remove(self, spreadsheet_id: str) -> bool:
        return self._books.pop(spreadsheet_id, None) is not None

    def clear(self) -> None:
        self._books.clear()


def change_spreadsheet(book: Workbook, change: SpreadsheetChange) -> None:
    if change.title is not None:
        book.title = change.title
    if change.access is not None:
        book.access = change.access
    if change.deleted is not None:
        book.deleted = change.deleted


def resize(book: Workbook, tab: Tab, rows: int, columns: int) -> None:
    """Presets a grid's size; values beyond it go. Raises GoogleError above Google's limits."""
    check_size(rows, columns)
    if book.cell_count - tab.cell_count + rows * columns > MAX_CELLS:
        raise too_many_cells()
    if rows < tab.rows.count:
        tab.delete_rows(rows, tab.rows.count - rows)
    elif rows > tab.rows.count:
        tab.insert_rows(tab.rows.count, rows - tab.rows.count)
    if columns < tab.columns.count:
        tab.delete_columns(columns, tab.columns.count - columns)
    elif columns > tab.columns.count:
        tab.insert_columns(tab.columns.count, columns - tab.columns.count)


def make_spreadsheet_id() -> str:
    """A new id of the length that Google's have."""
    return secrets.token_urlsafe(33)


def _fill(tab: Tab, rows: Iterable[Iterable[str | int | float | bool | None]]) -> None:
    for row, values in enumerate(rows):
        for column, value in enumerate(values):
            if value is not None and value != "":
                tab.put(row, column, value)
