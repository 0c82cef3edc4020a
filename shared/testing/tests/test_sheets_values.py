"""What the Sheets simulator makes of a value: typed or raw, and how it then looks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mirsal_testing.simulators.sheets.dates import moment_of, read_moment, serial_of
from mirsal_testing.simulators.sheets.entry import enter_raw, enter_typed
from mirsal_testing.simulators.sheets.errors import GoogleError
from mirsal_testing.simulators.sheets.field_mask import parse_mask, pick
from mirsal_testing.simulators.sheets.formats import FormatLayers, NumberFormat
from mirsal_testing.simulators.sheets.formulas import compute
from mirsal_testing.simulators.sheets.grid import Formula, Tab
from mirsal_testing.simulators.sheets.rendering import show

TODAY = date(2026, 7, 1)


def typed(text: str) -> tuple[object, str]:
    """The value, and what the cell shows."""
    entry = enter_typed(text)
    if entry.value is None or isinstance(entry.value, Formula):
        return entry.value, ""
    return entry.value, show(entry.value, entry.number_format)


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("سارة", "سارة", "سارة"),
        ("007", 7, "7"),
        ("'007", "007", "007"),
        ("0501234567", 501234567, "501234567"),
        ("+966501234567", 966501234567, "966501234567"),
        ("3.10", 3.1, "3.1"),
        ("-5", -5, "-5"),
        ("1,234.5", 1234.5, "1,234.50"),
        ("1,23", "1,23", "1,23"),
        ("$5", 5, "$5"),
        ("50%", 0.5, "50%"),
        ("12.5%", 0.125, "12.50%"),
        ("1e3", 1000, "1.00E+03"),
        ("true", True, "TRUE"),
        (" 12 ", 12, "12"),
        ("2024-02-29", 45351, "2024-02-29"),
        ("2/29/2024", 45351, "2/29/2024"),
        ("2/30/2024", "2/30/2024", "2/30/2024"),
        ("Feb 29, 2024", 45351, "Feb 29, 2024"),
        ("10:30", 0.4375, "10:30"),
        ("10:30 PM", 0.9375, "10:30 PM"),
        ("2024-02-29 12:00:00", 45351.5, "2024-02-29 12:00:00"),
        ("2024-02-29T12:00:00", 45351.5, "2024-02-29 12:00:00"),
        ("@x", "@x", "@x"),
        ("12 345", "12 345", "12 345"),
        ("", None, ""),
        ("=1+1", Formula("=1+1"), ""),
        ("-x", Formula("=-x"), ""),
        ("+49 170 1234", Formula("=+49 170 1234"), ""),
    ],
)
def test_what_typing_makes(text: str, value: object, shown: str) -> None:
    found = typed(text)
    assert found == (value, shown)
    assert isinstance(found[0], bool) == isinstance(value, bool)


@given(st.text(min_size=1, max_size=30))
def test_raw_text_stays_what_it_is(text: str) -> None:
    entry = enter_raw(text)
    assert entry.value == text
    assert isinstance(entry.value, str)
    assert entry.number_format is None


@given(st.text(max_size=20))
def test_any_text_can_be_typed(text: str) -> None:
    value = enter_typed(text).value
    if isinstance(value, Formula):
        tab = Tab(0, "x", 10, 10, FormatLayers())
        assert isinstance(compute(value, tab), (str, int, float, bool))


@pytest.mark.parametrize("enter", [enter_raw, enter_typed])
def test_more_than_a_cell_can_hold_is_refused(enter: object) -> None:
    assert callable(enter)
    assert enter("x" * 50_000).value == "x" * 50_000
    with pytest.raises(GoogleError, match="more than the maximum of 50000 characters"):
        enter("x" * 50_001)
    with pytest.raises(GoogleError, match="more than the maximum of 50000 characters"):
        enter("👋" * 25_001)


@given(st.dates(date(1900, 1, 1), date(2999, 1, 1)), st.integers(0, 86_399_999))
def test_dates_survive_as_numbers_to_the_millisecond(day: date, milliseconds: int) -> None:
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
    moment += timedelta(milliseconds=milliseconds)
    assert moment_of(serial_of(moment)) == moment


def test_a_date_without_year_is_this_years() -> None:
    found = read_moment("1/2", TODAY)
    assert found is not None
    assert moment_of(found[0]) == datetime(2026, 1, 2, tzinfo=UTC)
    assert found[1:] == ("DATE", "m/d")


@pytest.mark.parametrize(
    ("value", "kind", "pattern", "shown"),
    [
        (45351.75, "DATE_TIME", "yyyy-mm-dd hh:mm", "2024-02-29 18:00"),
        (45351.75, "DATE", "", "2/29/2024"),
        (45351.75, "DATE_TIME", 'ddd, d mmmm yyyy "at" h am/pm', "Thu, 29 February 2024 at 6 PM"),
        (45351.75, "DATE", "dddd d/mm/yy", "Thursday 29/02/24"),
        (0.5, "TIME", "hh:mm:ss.000", "12:00:00.000"),
        (1234567.891, "NUMBER", "#,##0.00", "1,234,567.89"),
        (0.005, "NUMBER", "0.00", "0.01"),
        (-2, "NUMBER", "0;(0)", "(2)"),
        (5, "NUMBER", "000", "005"),
        (0.5, "NUMBER", "#.##", ".5"),
        (0.256, "PERCENT", "0.0%", "25.6%"),
        (1e16, "TEXT", "", "1E+16"),
        (0.1 + 0.2, "TEXT", "", "0.3"),
        (True, "NUMBER", "0", "TRUE"),
        ("x", "DATE", "yyyy", "x"),
    ],
)  # fmt: skip
def test_patterns(value: str | float | bool, kind: str, pattern: str, shown: str) -> None:
    assert show(value, NumberFormat(kind, pattern)) == shown


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("=1+2*3", 7),
        ("=(1+2)*3", 9),
        ("=2^-1", 0.5),
        ("=A1+B1", 5),
        ("=SUM(A1:B2)", 10),
        ('="a"&A1', "a2"),
        ("=A1>B1", False),
        ('=HYPERLINK("http://x.example";"click")', "click"),
        ("=1/0", "#DIV/0!"),
        ("=A3+1", "#VALUE!"),
        ("=IMPORTXML(A1)", "#NAME?"),
        ("=x", "#NAME?"),
        ("=1 2", "#ERROR!"),
        ("=", "#ERROR!"),
        ("=C1", "#REF!"),
        ("=10%", 0.1),
    ],
)
def test_formulas(text: str, value: object) -> None:
    tab = Tab(0, "x", 10, 10, FormatLayers())
    for row, column, number in ((0, 0, 2), (0, 1, 3), (1, 0, 4), (1, 1, 1)):
        tab.put(row, column, number)
    tab.put(2, 0, "text")
    tab.put(0, 2, Formula("=C1"))
    assert compute(Formula(text), tab) == value


def test_masks_pick_members() -> None:
    whole = {"a": 1, "b": [{"c": 2, "d": {"e": 3, "f": 4}}]}
    assert pick(whole, parse_mask("b(c,d/e)")) == {"b": [{"c": 2, "d": {"e": 3}}]}
    assert pick(whole, parse_mask("a,b.d.f")) == {"a": 1, "b": [{"d": {"f": 4}}]}
    assert pick(whole, parse_mask("*")) == whole
    for wrong in ("a(", "a)", ",a", "a,,b", "a b!"):
        with pytest.raises(GoogleError):
            parse_mask(wrong)
