"""A spreadsheet: its tabs in order, who may use it, and the limits that hold for all of it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Literal

from mirsal_testing.simulators.sheets.a1 import MAX_COLUMNS, parse_reference
from mirsal_testing.simulators.sheets.errors import (
    MAX_CELLS,
    MAX_SHEETS,
    GoogleError,
    invalid,
    too_many_cells,
    unparsable_range,
)
from mirsal_testing.simulators.sheets.formats import FormatLayers
from mirsal_testing.simulators.sheets.grid import DEFAULT_COLUMNS, DEFAULT_ROWS, Tab

if TYPE_CHECKING:
    from mirsal_testing.simulators.sheets.a1 import Area

Access = Literal["writer", "reader", "none"]


class Workbook:
    """A draft of it shares its tabs until one is to change: so a batch is all or nothing."""

    def __init__(self, spreadsheet_id: str, title: str = "Untitled spreadsheet") -> None:
        self.spreadsheet_id = spreadsheet_id
        self.title = title
        self.locale = "en_US"
        self.time_zone = "Etc/GMT"
        self.access: Access = "writer"
        self.deleted = False
        self.tabs: list[Tab] = []
        self._shared: set[int] = set()

    def draft(self) -> Workbook:
        twin = Workbook(self.spreadsheet_id, self.title)
        twin.locale, twin.time_zone = self.locale, self.time_zone
        twin.tabs = list(self.tabs)
        twin._shared = {tab.sheet_id for tab in self.tabs}
        return twin

    def adopt(self, draft: Workbook) -> None:
        self.title, self.locale, self.time_zone = draft.title, draft.locale, draft.time_zone
        self.tabs = draft.tabs

    def change(self, sheet_id: object) -> Tab:
        """The tab, to be changed. Raises GoogleError where there is none."""
        tab = self.tab_by_id(sheet_id)
        if tab.sheet_id in self._shared:
            own = tab.copy()
            self.tabs[self.tabs.index(tab)] = own
            self._shared.discard(tab.sheet_id)
            return own
        return tab

    @property
    def cell_count(self) -> int:
        return sum(tab.cell_count for tab in self.tabs)

    def tab_by_id(self, sheet_id: object) -> Tab:
        for tab in self.tabs:
            if tab.sheet_id == sheet_id:
                return tab
        raise invalid(f"No sheet with id: {sheet_id}")

    def find_tab(self, title: str) -> Tab | None:
        """By name, whatever its case."""
        for tab in self.tabs:
            if tab.title == title:
                return tab
        folded = title.casefold()
        return next((tab for tab in self.tabs if tab.title.casefold() == folded), None)

    def resolve(self, text: object) -> tuple[Tab, Area]:
        """The tab and cells that A1 notation names. Raises GoogleError 400."""
        reference = parse_reference(text) if isinstance(text, str) else None
        if reference is None:
            raise unparsable_range(str(text))
        tab = self.tabs[0] if reference.title is None else self.find_tab(reference.title)
        if tab is None:
            raise unparsable_range(str(text))
        return tab, reference.area

    def check_growth(self, cells: int) -> None:
        """Raises GoogleError 400 where so many more cells would be above the limit."""
        if cells > 0 and self.cell_count + cells > MAX_CELLS:
            raise too_many_cells()

    def check_title(self, title: object, tab: Tab | None = None) -> str:
        """A title that no other tab than `tab` has. Raises GoogleError."""
        if not isinstance(title, str) or not title:
            raise invalid("Sheet name cannot be empty")
        if len(title) > 100:
            raise invalid("Sheet name cannot be longer than 100 characters")
        found = self.find_tab(title)
        if found is not None and found is not tab:
            raise invalid(
                f'A sheet with the name "{title}" already exists. Please enter another name.'
            )
        return title

    def add_tab(
        self,
        title: str,
        *,
        rows: int = DEFAULT_ROWS,
        columns: int = DEFAULT_COLUMNS,
        sheet_id: int | None = None,
        index: int | None = None,
    ) -> Tab:
        """Raises GoogleError where the name or the id is taken, or a limit is passed."""
        self.check_title(title)
        if sheet_id is None:
            sheet_id = 0 if not self.tabs else secrets.randbelow(2**31 - 1) + 1
        elif any(tab.sheet_id == sheet_id for tab in self.tabs):
            raise invalid(f"Sheet ID {sheet_id} is already in use")
        if len(self.tabs) >= MAX_SHEETS:
            raise invalid(
                "This action would increase the number of sheets in the workbook above the "
                f"limit of {MAX_SHEETS} sheets."
            )
        check_size(rows, columns)
        self.check_growth(rows * columns)
        tab = Tab(sheet_id, title, rows, columns, FormatLayers())
        self.tabs.insert(len(self.tabs) if index is None else index, tab)
        return tab

    def delete_tab(self, sheet_id: object) -> None:
        tab = self.tab_by_id(sheet_id)
        if len(self.tabs) == 1:
            raise invalid("You can't remove all the sheets in a document.")
        self.tabs.remove(tab)

    def check_access(self, *, writes: bool) -> None:
        """Raises GoogleError 404 where it was deleted, 403 where the caller may not do so."""
        if self.deleted:
            raise GoogleError(404)
        if self.access == "none" or (writes and self.access == "reader"):
            raise GoogleError(403)


def check_size(rows: object, columns: object) -> None:
    """Raises GoogleError for a grid that Sheets cannot have."""
    for name, count in (("rowCount", rows), ("columnCount", columns)):
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise invalid(f"gridProperties.{name} must be greater than 0")
    if isinstance(columns, int) and columns > MAX_COLUMNS:
        raise invalid(
            "This action would increase the number of columns in the sheet above the limit of "
            f"{MAX_COLUMNS} columns."
        )
