"""Typed values and what RAW input makes of them."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mirsal_contracts.nodes.google_sheets import CellType
from mirsal_runtime.failures import PermanentError
from sheets_worker.cells import raw_cell, read_value, zone_of
from sheets_worker.rows import Value

DUBAI = ZoneInfo("Asia/Dubai")


def read(given: str | bool | float | None, kind: CellType | None = None) -> Value:
    return read_value(given, kind, DUBAI, column="c")


@given(st.text(max_size=200))
def test_a_text_stays_itself_but_for_what_no_cell_holds(text: str) -> None:
    raw = raw_cell(read(text))
    assert raw == text.replace("\0", "")


def test_what_no_cell_holds_is_left_out() -> None:
    assert read("a\0b\ud800") == "ab\ufffd"


@pytest.mark.parametrize("kind", ["number", "date", "datetime", "boolean"])
def test_an_empty_text_is_an_empty_cell(kind: CellType) -> None:
    assert read("", kind) is None
    assert raw_cell(None) == ""


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7),
        (" -7.50 ", -7.5),
        ("٢٠٫٥", 20.5),
        ("۱۲۳", 123),
        ("1,234,567.5", 1234567.5),
        ("١٬٢٣٤", 1234),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("007", 7),
        (str(2**53), 2**53),
    ],
)
def test_numbers(text: str, number: float) -> None:
    assert read(text, "number") == number


@pytest.mark.parametrize(
    "text",
    ["seven", "1,5", "1,23,456", "0x10", "1 000", "--1", "nan", "inf", "1e999", ".", "9" * 17],
)
def test_no_numbers(text: str) -> None:
    with pytest.raises(PermanentError, match=r"invalid_value.*'c'"):
        read(text, "number")


@pytest.mark.parametrize(
    ("text", "truth"), [("true", True), ("FALSE", False), ("1", True), ("٠", False), ("no", False)]
)
def test_truths(text: str, truth: bool) -> None:
    assert read(text, "boolean") is truth
    with pytest.raises(PermanentError):
        read("perhaps", "boolean")


@pytest.mark.parametrize(
    ("text", "serial"),
    [
        ("1899-12-30", 0),
        ("1900-01-01", 2),
        ("2025-03-05", 45721),
        ("٢٠٢٥-٠٣-٠٥", 45721),
        ("2025-03-05T22:15:00Z", 45722),
        ("2025-03-05T22:15:00", 45721),
    ],
)
def test_dates_are_days_in_the_nodes_zone(text: str, serial: int) -> None:
    assert raw_cell(read(text, "date")) == serial


def test_times_are_what_a_clock_shows_in_the_nodes_zone() -> None:
    value = read("2025-03-05T22:15:30.5Z", "datetime")
    assert value == datetime(2025, 3, 5, 22, 15, 30, 500_000, UTC)
    assert raw_cell(value) == pytest.approx(45722 + (2 * 3600 + 15 * 60 + 30.5) / 86_400)
    assert raw_cell(read("2025-03-05", "datetime")) == 45721


@given(st.dates(min_value=date(1900, 3, 1)))
def test_a_serial_number_is_the_day_that_sheets_shows(day: date) -> None:
    serial = raw_cell(read(day.isoformat(), "date"))
    assert isinstance(serial, int)
    assert serial == day.toordinal() - 693_594


@pytest.mark.parametrize("kind", ["date", "datetime"])
@pytest.mark.parametrize(
    "given", ["yesterday", "2025-13-01", "05/03/2025", "0001-01-01T00:00Z", 7, True]
)
def test_no_dates(given: str | int | bool, kind: CellType) -> None:
    with pytest.raises(PermanentError, match="invalid_value"):
        read_value(given, kind, ZoneInfo("America/New_York"), column="c")


@pytest.mark.parametrize(
    ("given", "text"), [(7, "7"), (7.0, "7"), (7.25, "7.25"), (True, "true"), ("=1", "=1")]
)
def test_texts_of_what_is_none(given: str | bool | float, text: str) -> None:
    assert read(given, "text") == text


def test_numbers_that_a_sheet_would_round_become_texts() -> None:
    assert raw_cell(read(2**53 + 1)) == str(2**53 + 1)
    assert raw_cell(read(2**53)) == 2**53
    assert raw_cell(read(True)) is True


def test_a_cell_holds_fifty_thousand_characters_as_google_counts_them() -> None:
    assert raw_cell("م" * 50_000) == "م" * 50_000
    for text in ("م" * 50_001, "😀" * 25_001):
        with pytest.raises(PermanentError, match="cell_too_long"):
            raw_cell(text)


def test_zones() -> None:
    assert zone_of(None) is UTC
    assert zone_of("Asia/Dubai") == DUBAI
    for name in ("Mars/Base", "../etc/passwd", "a" * 500, "\0"):
        with pytest.raises(PermanentError, match="invalid_time_zone"):
            zone_of(name)
