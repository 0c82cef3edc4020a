"""A1 notation: names of tabs, columns and ranges. Pure."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from mirsal_runtime.failures import PermanentError

MOST_COLUMNS = 18_278
_CELLS = re.compile(
    r"\$?([A-Za-z]{0,3})\$?([1-9]\d{0,7})?(?::\$?([A-Za-z]{0,3})\$?([1-9]\d{0,7})?)?"
)
_WRITTEN = re.compile(r"(?:.*!)?\$?([A-Z]+)\$?(\d+)(?::\$?([A-Z]+)\$?(\d+))?")


class Span(NamedTuple):
    """Rows from `first` to `last`, counted from 1."""

    first: int
    last: int


def in_tab(sheet: str, cells: str = "") -> str:
    """`Leads`, `A1:C1` → `'Leads'!A1:C1`; without cells the whole tab."""
    quoted = "'" + sheet.replace("'", "''") + "'"
    return f"{quoted}!{cells}" if cells else quoted


def column_letters(index: int) -> str:
    """0 → A, 26 → AA."""
    letters = ""
    number = index + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def column_index(letters: str) -> int:
    """A → 0, aa → 26."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def check_cells(given: str) -> str:
    """A range of cells as a person writes it (`A2:C10`, `A:C`, `2:5`), without its tab.

    Raises `PermanentError`.
    """
    cells = given.strip()
    match = _CELLS.fullmatch(cells)
    if match is None or not cells or cells.endswith(":") or cells.startswith(":"):
        raise PermanentError(
            "invalid_range", f"{given!r} is no range such as A2:C10; the tab is named by `sheet`"
        )
    return cells.upper()


def first_row(cells: str) -> int:
    """The first row of a checked range; 1 where it names none."""
    match = _CELLS.fullmatch(cells)
    return int(match[2]) if match is not None and match[2] else 1


def columns_of_range(cells: str, width: int) -> range:
    """The indexes of a checked range's columns; `width` is how many there are in all."""
    match = _CELLS.fullmatch(cells)
    if match is None or not match[1]:
        return range(width)
    first = column_index(match[1])
    if not match[3] and ":" in cells:
        return range(first, max(width, first + 1))
    last = column_index(match[3]) if match[3] else first
    return range(min(first, last), max(first, last) + 1)


def span_of(updated_range: str) -> Span | None:
    """The rows of a range of Google's, such as `'Leads'!A5:D6`."""
    match = _WRITTEN.fullmatch(updated_range)
    if match is None:
        return None
    first = int(match[2])
    return Span(first, int(match[4]) if match[4] else first)


def spans_of(rows: Sequence[int], most: int) -> list[Span]:
    """Rows in their order as at most so many spans: where there are more, the narrowest gaps
    between them are read, too."""
    gaps = sorted(
        (index for index in range(1, len(rows)) if rows[index] - rows[index - 1] > 1),
        key=lambda index: rows[index - 1] - rows[index],
    )
    starts = [0, *sorted(gaps[: most - 1])] if rows else []
    ends = [*starts[1:], len(rows)]
    return [Span(rows[start], rows[end - 1]) for start, end in zip(starts, ends, strict=False)]
