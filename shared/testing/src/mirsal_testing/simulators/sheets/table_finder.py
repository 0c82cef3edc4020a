"""Which table an append goes to: the block of values that hangs together around a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirsal_testing.simulators.sheets.a1 import Box
from mirsal_testing.simulators.sheets.grid import TableHint

if TYPE_CHECKING:
    from mirsal_testing.simulators.sheets.a1 import Area
    from mirsal_testing.simulators.sheets.grid import Tab


def find_table(tab: Tab, area: Area) -> Box | None:
    """The last table that has a value within the area; None where the area is empty.

    A table ends where a whole row or column beside it, corners included, is empty.
    """
    seed = _last_value(tab, area.within(tab.rows.count, tab.columns.count))
    if seed is None:
        return None
    row, column = seed
    hint = tab.table_hint
    box = Box(row, column, row + 1, column + 1)
    if hint is not None and (hint.row, hint.column) == seed:
        box = hint.box
    box = _grow(tab, box)
    tab.table_hint = TableHint(row, column, box)
    return box


def _last_value(tab: Tab, box: Box) -> tuple[int, int] | None:
    """The first value of the last row that has one."""
    for row in range(min(box.bottom - 1, tab.last_row), box.top - 1, -1):
        column = tab.first_used(row, box.left, box.right)
        if column is not None:
            return row, column
    return None


def _grow(tab: Tab, box: Box) -> Box:
    top, left, bottom, right = box.top, box.left, box.bottom, box.right
    while True:
        before = (top, left, bottom, right)
        while top > 0 and tab.row_has(top - 1, left, right):
            top -= 1
        while bottom <= tab.last_row and tab.row_has(bottom, left, right):
            bottom += 1
        # The columns beside it, from the row above to the row below: its corners, too.
        if left > 0 and tab.column_has(left - 1, max(0, top - 1), bottom + 1):
            left -= 1
        if tab.column_has(right, max(0, top - 1), bottom + 1):
            right += 1
        if before == (top, left, bottom, right):
            return Box(top, left, bottom, right)
