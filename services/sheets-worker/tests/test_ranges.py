"""A1 notation, headers, and the requests that make tabs and columns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mirsal_runtime.failures import ActionRequired, PermanentError
from sheets_worker.header import Addition, Header, add, arrange, find_lacking, read_header
from sheets_worker.ranges import (
    Span,
    check_cells,
    column_index,
    column_letters,
    columns_of_range,
    first_row,
    in_tab,
    span_of,
    spans_of,
)
from sheets_worker.rows import Column

KEY = "_mirsal_row_key"


@given(st.integers(0, 18_277))
def test_letters_and_indexes_are_each_others(index: int) -> None:
    assert column_index(column_letters(index)) == index


def test_letters_as_people_know_them() -> None:
    assert [column_letters(index) for index in (0, 25, 26, 701, 702, 18_277)] == [
        *("A", "Z", "AA", "ZZ", "AAA", "ZZZ")
    ]


def test_names_of_tabs_are_quoted() -> None:
    assert in_tab("It's", "A1:B2") == "'It''s'!A1:B2"
    assert in_tab("العملاء!A1") == "'العملاء!A1'"


@pytest.mark.parametrize("cells", ["A1", "a2:C10", "A:C", "2:5", "$A$2:C", "B2:ZZZ"])
def test_ranges_that_people_write(cells: str) -> None:
    assert check_cells(f" {cells} ") == cells.upper()


@pytest.mark.parametrize("cells", ["", "Leads!A1", "A1:", ":B2", "A1:B2:C3", "ABCD1", "A0", "'x'"])
def test_ranges_that_are_none(cells: str) -> None:
    with pytest.raises(PermanentError, match="invalid_range"):
        check_cells(cells)


@pytest.mark.parametrize(
    ("cells", "row", "columns"),
    [
        ("B7:C", 7, [1, 2]),
        ("C:D", 1, [2, 3]),
        ("2:5", 2, [0, 1, 2, 3]),
        ("C4", 4, [2]),
        ("C2:9", 2, [2, 3]),
        ("D:B", 1, [1, 2, 3]),
        ("Z1:2", 1, [25]),
    ],
)
def test_what_a_range_covers(cells: str, row: int, columns: list[int]) -> None:
    assert first_row(cells) == row
    assert list(columns_of_range(cells, 4)) == columns


@pytest.mark.parametrize(
    ("written", "span"),
    [
        ("'It''s!A9'!A5:D54", Span(5, 54)),
        ("Leads!A5", Span(5, 5)),
        ("A5:D5", Span(5, 5)),
        ("", None),
        ("Leads", None),
    ],
)
def test_what_google_says_was_written(written: str, span: Span | None) -> None:
    assert span_of(written) == span


def test_a_header_is_read_as_people_write_it() -> None:
    header = read_header([" Name ", "", 2024, KEY, "", ""])
    assert header == Header(("Name", "", "2024", KEY))
    assert (header.place("Name "), header.place("2024"), header.key_place) == (0, 2, 3)
    assert read_header([]) == Header(())


def test_a_column_that_is_there_twice_is_for_a_person() -> None:
    with pytest.raises(ActionRequired, match=r"invalid_header.*twice: a"):
        read_header(["a", "b", "a "])
    assert read_header(["a", "", ""]).width == 1


def test_what_lacks_stands_before_the_keys() -> None:
    columns = [Column("b"), Column("a"), Column("c ", "date")]
    header = Header(("a", KEY, "theirs"))
    addition = find_lacking(header, columns)
    assert addition == Addition(1, (Column("b"), Column("c", "date")), with_key=False)
    assert add(header, addition).names == ("a", "b", "c", KEY, "theirs")
    assert find_lacking(Header(("a", "b", "c", KEY)), columns) is None


def test_without_a_column_of_keys_one_is_made_at_the_end() -> None:
    header = Header(("a", "", "theirs"))
    addition = find_lacking(header, [Column("a"), Column("b")])
    assert addition is not None
    assert add(header, addition).names == ("a", "", "theirs", "b", KEY)


def test_a_tab_has_an_end() -> None:
    with pytest.raises(ActionRequired, match="18278"):
        find_lacking(Header(tuple(map(str, range(18_277)))), [Column("a"), Column("b")])


def test_cells_stand_under_their_columns() -> None:
    header = Header(("a", "", "b", KEY))
    assert arrange(header, {"b": 2, "strange": 3}, "key") == [None, None, 2, "key"]


def test_rows_become_as_few_spans_as_may_be_asked_for() -> None:
    assert spans_of([], 3) == []
    assert spans_of([4], 1) == [Span(4, 4)]
    assert spans_of([2, 3, 4, 9], 5) == [Span(2, 4), Span(9, 9)]
    assert spans_of([2, 4, 10, 11, 40], 3) == [Span(2, 4), Span(10, 11), Span(40, 40)]
    assert spans_of([2, 4, 10, 11, 40], 1) == [Span(2, 40)]
