"""Dates as Sheets keeps them: days since 1899-12-30 as a number; and reading typed ones."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

EPOCH = datetime(1899, 12, 30, tzinfo=UTC)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")
_AMERICAN = re.compile(r"(\d{1,2})([-/])(\d{1,2})(?:\2(\d{4}|\d{2}))?")
_NAMED = re.compile(r"([A-Za-z]{3,9})\.? (\d{1,2})(?:,? (\d{4}))?")
_DAY_FIRST = re.compile(r"(\d{1,2})[ -]([A-Za-z]{3,9})\.?(?:[ -](\d{4}))?")
_TIME = re.compile(r"(\d{1,3}):(\d{2})(?::(\d{2}(?:\.\d{1,3})?))?(?: ?([AaPp])\.?[Mm]\.?)?")


def serial_of(moment: datetime) -> float:
    """`moment` is taken as wall clock time."""
    return (moment.replace(tzinfo=UTC) - EPOCH) / timedelta(days=1)


def moment_of(serial: float) -> datetime | None:
    """Wall clock time, to the millisecond. None beyond what a calendar has."""
    try:
        # Sheets rounds to milliseconds; a float of days is a little beside them.
        return EPOCH + timedelta(milliseconds=round(serial * 86_400_000))
    except OverflowError:
        return None


def read_moment(text: str, today: date) -> tuple[float, str, str] | None:
    """Serial number, format type and pattern of a date, a time or both, as typed in en_US.

    `today` gives the year where none is typed. None where it is none of them.
    """
    day = _read_date(text, today)
    if day is not None:
        return day[0], "DATE", day[1]
    clock = _read_time(text)
    if clock is not None:
        return clock[0], "TIME", clock[1]
    first, space, second = re.sub(r"^(\d{4}-\d\d-\d\d)T", r"\1 ", text).partition(" ")
    while space:
        day, clock = _read_date(first, today), _read_time(second)
        if day is not None and clock is not None:
            return day[0] + clock[0], "DATE_TIME", f"{day[1]} {clock[1]}"
        more, space, second = second.partition(" ")
        first = f"{first} {more}"
    return None


def _read_date(text: str, today: date) -> tuple[float, str] | None:
    if match := _ISO.fullmatch(text):
        year, month, day = int(match[1]), int(match[2]), int(match[3])
        pattern = "yyyy-mm-dd"
    elif match := _AMERICAN.fullmatch(text):
        month, day = int(match[1]), int(match[3])
        year = _year(match[4], today)
        pattern = "m/d/yyyy" if match[4] else "m/d"
    elif match := _NAMED.fullmatch(text):
        month, day, year = _month(match[1]), int(match[2]), _year(match[3], today)
        pattern = "mmm d, yyyy" if match[3] else "mmm d"
    elif match := _DAY_FIRST.fullmatch(text):
        day, month, year = int(match[1]), _month(match[2]), _year(match[3], today)
        pattern = "d mmm yyyy" if match[3] else "d mmm"
    else:
        return None
    try:
        return serial_of(datetime(year, month, day, tzinfo=UTC)), pattern
    except ValueError:
        return None


def _read_time(text: str) -> tuple[float, str] | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    hours, minutes, seconds = int(match[1]), int(match[2]), float(match[3] or 0)
    if minutes > 59 or seconds >= 60 or (match[4] and not 1 <= hours <= 12):
        return None
    pattern = "h:mm:ss" if match[3] else "h:mm"
    if match[4]:
        hours = hours % 12 + (12 if match[4] in "pP" else 0)
        pattern += " am/pm"
    return (hours * 3600 + minutes * 60 + seconds) / 86_400, pattern


def _month(name: str) -> int:
    """0, which is no month, where the name is none."""
    short = name[:3].lower()
    return _MONTHS.index(short) + 1 if short in _MONTHS else 0


def _year(text: str | None, today: date) -> int:
    if text is None:
        return today.year
    year = int(text)
    if len(text) == 4:
        return year
    return year + (2000 if year < 30 else 1900)
