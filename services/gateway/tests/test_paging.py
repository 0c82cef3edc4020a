"""Cursors."""

from datetime import UTC, datetime

import pytest
from gateway.paging import START, Cursor, cut_page, read_cursor
from gateway.problems import Problem
from hypothesis import given
from hypothesis import strategies as st

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60)
times = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


@given(times, names)
def test_a_cursor_says_its_place(at: datetime, name: str) -> None:
    assert read_cursor(Cursor(at, name).to_text()) == Cursor(at, name)


def test_no_cursor_is_the_start() -> None:
    assert read_cursor(None) == START


@pytest.mark.parametrize(
    "text", ["x", "....", "MTIz", "Lw", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5L2E", "é"]
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(Problem) as caught:
        read_cursor(text)
    assert caught.value.faults[0].parameter == "cursor"


def test_a_page_names_the_next_one_only_if_there_is_one() -> None:
    def place(item: int) -> Cursor:
        return Cursor(datetime(2026, 1, item, tzinfo=UTC), str(item))

    assert cut_page([1, 2], 2, place) == ([1, 2], None)
    items, cursor = cut_page([1, 2, 3], 2, place)
    assert items == [1, 2]
    assert read_cursor(cursor) == place(2)
