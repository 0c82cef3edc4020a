"""A1 notation of the Sheets simulator: what texts mean, and that it survives its own writing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mirsal_testing.simulators.sheets.a1 import (
    MAX_COLUMNS,
    Area,
    Box,
    Reference,
    column_index,
    column_name,
    parse_area,
    parse_reference,
)

TITLES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
ROWS = st.integers(0, 9_999_999)
COLUMNS = st.integers(0, MAX_COLUMNS - 1)


@pytest.mark.parametrize(
    ("text", "title", "area"),
    [
        ("A1", None, Area(0, 0, 1, 1)),
        ("$B$2:c3", None, Area(1, 1, 3, 3)),
        ("C3:B2", None, Area(1, 1, 3, 3)),
        ("Leads!A:C", "Leads", Area(0, 0, None, 3)),
        ("Leads!2:5", "Leads", Area(1, 0, 5, None)),
        ("Leads!A2:C", "Leads", Area(1, 0, None, 3)),
        ("Leads!B3:7", "Leads", Area(2, 1, 7, None)),
        ("Leads", "Leads", Area()),
        ("'A1'", "A1", Area()),
        ("'A1'!A1", "A1", Area(0, 0, 1, 1)),
        ("'It''s'!A1", "It's", Area(0, 0, 1, 1)),
        ("'a!b'!A1", "a!b", Area(0, 0, 1, 1)),
        ("عملاء!A1:B2", "عملاء", Area(0, 0, 2, 2)),
        ("'عملاء جدد'!A:A", "عملاء جدد", Area(0, 0, None, 1)),
        ("ZZZ1", None, Area(0, MAX_COLUMNS - 1, 1, MAX_COLUMNS)),
    ],
)
def test_what_a_text_means(text: str, title: str | None, area: Area) -> None:
    assert parse_reference(text) == Reference(title, area)


@pytest.mark.parametrize(
    "text",
    ["", "Leads!", "!A1", "Leads!A0", "Leads!A1:", "Leads!A:5", "Leads!1", "Leads!A", "Leads!AAAA1",
     "Leads!A1:B2:C3", "'open!A1", "Leads!R1C1x", "Leads!A-1"],
)  # fmt: skip
def test_what_is_no_range(text: str) -> None:
    assert parse_reference(text) is None


@given(COLUMNS)
def test_column_names_and_numbers_are_each_others_reverse(index: int) -> None:
    assert column_index(column_name(index)) == index


@given(TITLES, ROWS, COLUMNS, ROWS, COLUMNS)
def test_a_written_range_is_read_as_the_same(
    title: str, row: int, column: int, other_row: int, other_column: int
) -> None:
    box = Box(
        min(row, other_row), min(column, other_column),
        max(row, other_row) + 1, max(column, other_column) + 1,
    )  # fmt: skip
    area = Area(box.top, box.left, box.bottom, box.right)
    assert parse_reference(box.text(title)) == Reference(title, area)


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    area = parse_area(text)
    if area is not None:
        box = area.within(1000, 26)
        assert 0 <= box.top <= box.bottom
        assert 0 <= box.left <= box.right
