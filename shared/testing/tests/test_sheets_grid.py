"""The sparse grid of the Sheets simulator against a plain list of lists, and table detection."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mirsal_testing.simulators.sheets.a1 import Area, Box
from mirsal_testing.simulators.sheets.formats import FormatLayers, NumberFormat
from mirsal_testing.simulators.sheets.grid import Tab
from mirsal_testing.simulators.sheets.table_finder import find_table

SIZE = 6
PLACE = st.integers(0, SIZE - 1)
COUNT = st.integers(1, 3)
CHANGES = st.one_of(
    st.tuples(st.just("put"), PLACE, PLACE, st.integers(1, 99)),
    st.tuples(st.just("remove"), PLACE, PLACE, COUNT),
    st.tuples(st.just("clear"), PLACE, PLACE, COUNT),
    st.tuples(st.just("insert_rows"), PLACE, PLACE, COUNT),
    st.tuples(st.just("delete_rows"), PLACE, PLACE, COUNT),
    st.tuples(st.just("insert_columns"), PLACE, PLACE, COUNT),
    st.tuples(st.just("delete_columns"), PLACE, PLACE, COUNT),
    st.tuples(st.just("find"), PLACE, PLACE, COUNT),
)
DATE = NumberFormat("DATE")


class PlainGrid:
    """The same as a list of lists of (value, format)."""

    def __init__(self) -> None:
        self.lines: list[list[list[Any]]] = [self.new_cells(SIZE) for _ in range(SIZE)]

    def new_cells(self, number: int) -> list[list[Any]]:
        return [[None, None] for _ in range(number)]

    def change(self, kind: str, row: int, column: int, number: int) -> None:
        lines = self.lines
        if kind == "put":
            lines[row][column][0] = number
        elif kind == "remove":
            lines[row][column][0] = None
        elif kind == "clear":
            for line in lines[row : row + number]:
                for cell in line[column : column + number]:
                    cell[0] = None
        elif kind == "insert_rows":
            lines[row:row] = [self.new_cells(len(lines[0])) for _ in range(number)]
        elif kind == "delete_rows":
            del lines[row : row + number]
        elif kind != "find":
            for line in lines:
                line[column : column + number * (kind == "delete_columns")] = (
                    self.new_cells(number) if kind == "insert_columns" else []
                )


def new_tab() -> Tab:
    return Tab(0, "Leads", SIZE, SIZE, FormatLayers())


def change(tab: Tab, kind: str, row: int, column: int, number: int) -> None:
    if kind == "put":
        tab.put(row, column, number)
    elif kind == "remove":
        tab.remove(row, column)
    elif kind == "clear":
        tab.clear(Box(row, column, row + number, column + number))
    elif kind == "find":
        find_table(tab, Area(row, column, row + number, column + number))
    else:
        getattr(tab, kind)(column if "columns" in kind else row, number)


def values_of(tab: Tab) -> list[list[Any]]:
    return [[tab.get(r, c) for c in range(tab.columns.count)] for r in range(tab.rows.count)]


def naive_table(lines: list[list[Any]], area: Area) -> Box | None:
    """Grown one line at a time, by looking at every cell around it."""
    used = {(r, c) for r, line in enumerate(lines) for c, value in enumerate(line) if value}
    inside = sorted((p for p in used if area.holds(*p)), key=lambda p: (-p[0], p[1]))
    if not inside:
        return None
    top, left = inside[0]
    bottom, right = top, left
    while True:
        near = [p for p in used if top - 1 <= p[0] <= bottom + 1 and left - 1 <= p[1] <= right + 1]
        grown = (
            min(p[0] for p in near), min(p[1] for p in near),
            max(p[0] for p in near), max(p[1] for p in near),
        )  # fmt: skip
        grown = (
            min(grown[0], top),
            min(grown[1], left),
            max(grown[2], bottom),
            max(grown[3], right),
        )
        if grown == (top, left, bottom, right):
            return Box(top, left, bottom + 1, right + 1)
        top, left, bottom, right = grown


@settings(max_examples=300, deadline=None)
@given(st.lists(CHANGES, max_size=30))
def test_the_grid_is_as_a_list_of_lists(changes: list[tuple[str, int, int, int]]) -> None:
    tab, plain = new_tab(), PlainGrid()
    for kind, row, column, number in changes:
        if row + number > tab.rows.count or column + number > tab.columns.count:
            continue
        if kind.startswith("delete") and number >= min(tab.rows.count, tab.columns.count):
            continue
        change(tab, kind, row, column, number)
        plain.change(kind, row, column, number)
        lines = [[cell[0] for cell in line] for line in plain.lines]
        assert values_of(tab) == lines
        used = [(r, c) for r, line in enumerate(lines) for c, value in enumerate(line) if value]
        assert tab.last_row == max((r for r, _ in used), default=-1)
        assert tab.last_column == max((c for _, c in used), default=-1)
        assert tab.used_cells == len(used)
        assert tab.copy().used_cells == len(used)
        area = Area(row, column, row + number, column + number)
        assert find_table(tab, area) == naive_table(lines, area)


def test_a_copy_is_its_own() -> None:
    tab = new_tab()
    tab.put(1, 1, "x")
    twin = tab.copy()
    twin.put(1, 1, "y")
    twin.insert_rows(0, 2)
    twin.formats.set_cell(0, 0, DATE)
    twin.columns.hidden.add(3)
    assert values_of(tab)[1][1] == "x"
    assert tab.rows.count == SIZE
    assert tab.formats.of(0, 0) is None
    assert not tab.columns.hidden


@pytest.mark.parametrize(
    ("cells", "area", "table"),
    [
        # The two tables of Google's own guide: A1:C2 and B4:D6.
        (None, Area(), Box(3, 1, 6, 4)),
        (None, Area(3, 1, 4, 2), Box(3, 1, 6, 4)),
        (None, Area(4, 2, 5, 4), Box(3, 1, 6, 4)),
        (None, Area(1, 1, 4, 4), Box(3, 1, 6, 4)),
        (None, Area(2, 0, 10, 7), Box(3, 1, 6, 4)),
        (None, Area(0, 0, 1, 1), Box(0, 0, 2, 3)),
        (None, Area(3, 4, 4, 5), None),
        (None, Area(3, 0, 4, 1), None),
        # Rows drift to the right where the first columns of the last row are empty.
        ([(0, 0), (3, 3)], Area(), Box(3, 3, 4, 4)),
        # Corners hold a table together.
        ([(0, 0), (1, 1), (2, 0)], Area(0, 0, 1, 1), Box(0, 0, 3, 2)),
    ],
)
def test_which_table_is_found(
    cells: list[tuple[int, int]] | None, area: Area, table: Box | None
) -> None:
    tab = Tab(0, "Leads", 100, 26, FormatLayers())
    if cells is None:
        cells = [(r, c) for r in range(2) for c in range(3)]
        cells += [(r, c) for r in range(3, 6) for c in range(1, 4)]
    for row, column in cells:
        tab.put(row, column, "x")
    assert find_table(tab, area) == table


def test_a_table_that_is_split_is_not_remembered_whole() -> None:
    tab = new_tab()
    for row in range(4):
        tab.put(row, 0, "x")
    header = Area(0, 0, 1, 1)
    assert find_table(tab, header) == Box(0, 0, 4, 1)
    tab.insert_rows(4, 1)
    assert find_table(tab, header) == Box(0, 0, 4, 1)
    tab.insert_rows(2, 1)
    assert find_table(tab, header) == Box(0, 0, 2, 1)


def test_a_column_format_reaches_rows_that_come_later_and_moves_with_its_cells() -> None:
    tab = new_tab()
    tab.formats.set_area(Area(1, 2, None, 3), DATE)
    tab.formats.set_area(Area(1, 0, 3, 1), DATE)
    tab.insert_rows(SIZE, 10)
    assert tab.formats.of(SIZE + 9, 2) == DATE
    assert tab.formats.of(0, 2) is None
    tab.insert_columns(1, 1)
    assert tab.formats.of(5, 3) == DATE
    assert tab.formats.of(5, 2) is None
    tab.insert_rows(3, 2)
    assert [tab.formats.of(row, 0) for row in range(6)] == [None, DATE, DATE, DATE, DATE, None]
    tab.delete_rows(0, 2)
    assert [tab.formats.of(row, 0) for row in range(4)] == [DATE, DATE, DATE, None]
    tab.delete_columns(3, 1)
    assert tab.formats.of(5, 3) is None


def test_a_grid_of_ten_million_cells_costs_nothing() -> None:
    tab = Tab(0, "Leads", 1_000_000, 10, FormatLayers())
    tab.put(999_999, 9, "end")
    assert tab.cell_count == 10_000_000
    assert [row for row, _ in tab.read(Box(0, 0, 1_000_000, 10))] == [999_999]
    assert find_table(tab, Area()) == Box(999_999, 9, 1_000_000, 10)
