"""A1 notation: which tab and which cells a text like `'My leads'!A2:C` means, and back.

Pure. Which tabs there are, and how large, is the workbook's matter.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

MAX_COLUMNS = 18_278
"""ZZZ is the last column that Sheets can have."""

_PART = re.compile(r"\$?([A-Za-z]{1,3})?(?:\$?([0-9]{1,9}))?")
_QUOTED = re.compile(r"'((?:[^']|'')+)'(?:!(.+))?", re.DOTALL)
_PLAIN_TITLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LIKE_A_CELL = re.compile(r"[A-Za-z]{1,3}[0-9]+|[Rr][0-9]*[Cc][0-9]*")


@dataclass(frozen=True, slots=True)
class Area:
    """Cells from `top`, `left` up to before `bottom`, `right`, counted from 0; None is open."""

    top: int = 0
    left: int = 0
    bottom: int | None = None
    right: int | None = None

    @property
    def is_cell(self) -> bool:
        return self.bottom == self.top + 1 and self.right == self.left + 1

    def within(self, rows: int, columns: int) -> Box:
        """The cells that a grid of that size has of it; none where it begins beyond it."""
        bottom = rows if self.bottom is None else min(self.bottom, rows)
        right = columns if self.right is None else min(self.right, columns)
        return Box(self.top, self.left, max(bottom, self.top), max(right, self.left))

    def holds(self, row: int, column: int) -> bool:
        return (
            self.top <= row
            and self.left <= column
            and (self.bottom is None or row < self.bottom)
            and (self.right is None or column < self.right)
        )


@dataclass(frozen=True, slots=True)
class Box:
    """As `Area`, with both ends known."""

    top: int
    left: int
    bottom: int
    right: int

    def text(self, title: str) -> str:
        """As Sheets writes it in its answers: `Leads!A1:B2`, or `Leads!A1` for one cell."""
        return f"{quote_title(title)}!{self.cells()}"

    def cells(self) -> str:
        first = cell_name(self.top, self.left)
        last = cell_name(max(self.bottom, self.top + 1) - 1, max(self.right, self.left + 1) - 1)
        return first if first == last else f"{first}:{last}"


WHOLE = Area()


@dataclass(frozen=True, slots=True)
class Reference:
    """What a text names; without a `title` it is the first tab."""

    title: str | None
    area: Area


@functools.lru_cache(maxsize=4096)
def parse_reference(text: str) -> Reference | None:
    """None where it is no A1 notation. A bare word may be a tab's name: then all of that tab."""
    quoted = _QUOTED.fullmatch(text)
    if quoted:
        title, cells = quoted[1].replace("''", "'"), quoted[2]
    elif "!" in text:
        title, _, cells = text.rpartition("!")
        if not title or title.startswith("'"):
            return None
    else:
        area = parse_area(text)
        if area is not None:
            return Reference(None, area)
        return Reference(text, WHOLE) if text else None
    if cells is None:
        return Reference(title, WHOLE)
    area = parse_area(cells)
    return None if area is None else Reference(title, area)


def parse_area(text: str) -> Area | None:
    """`A1`, `A1:B2`, `A:C`, `2:5`, `A2:C`, `B3:7`; corners in any order, with or without `$`."""
    first, colon, second = text.partition(":")
    begin = _parse_part(first)
    end = _parse_part(second) if colon else begin
    if begin is None or end is None:
        return None
    columns = [part[0] for part in (begin, end) if part[0] is not None]
    rows = [part[1] for part in (begin, end) if part[1] is not None]
    if not colon and (not columns or not rows):
        return None
    if len(columns) + len(rows) == 2 and len(columns) == 1:
        return None  # a column and a row: `A:5`
    return Area(
        top=min(rows, default=0),
        left=min(columns, default=0),
        bottom=max(rows) + 1 if len(rows) == 2 else None,
        right=max(columns) + 1 if len(columns) == 2 else None,
    )


def _parse_part(text: str) -> tuple[int | None, int | None] | None:
    """Column and row from 0. None where it is neither."""
    match = _PART.fullmatch(text)
    if match is None or not (match[1] or match[2]) or (match[2] and int(match[2]) == 0):
        return None
    column = column_index(match[1]) if match[1] else None
    return column, int(match[2]) - 1 if match[2] else None


def column_index(letters: str) -> int:
    """0 for A, 26 for AA."""
    index = 0
    for letter in letters.upper():
        index = index * 26 + ord(letter) - 64
    return index - 1


@functools.lru_cache(maxsize=2048)
def column_name(index: int) -> str:
    letters = ""
    number = index + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def cell_name(row: int, column: int) -> str:
    return f"{column_name(column)}{row + 1}"


def quote_title(title: str) -> str:
    """In quotes unless it is a plain ASCII word that cannot be taken for a cell."""
    if _PLAIN_TITLE.fullmatch(title) and not _LIKE_A_CELL.fullmatch(title):
        return title
    return "'" + title.replace("'", "''") + "'"
