"""The header: the first row of a tab, what its columns are, and what it lacks. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mirsal_runtime.failures import ActionRequired

from sheets_worker.errors import Code
from sheets_worker.ranges import MOST_COLUMNS
from sheets_worker.rows import ROW_KEY_COLUMN, Column


class Header(NamedTuple):
    """The names of the columns, by their place; a column without a name is an empty text."""

    names: tuple[str, ...]

    @property
    def width(self) -> int:
        """How many columns there are, up to the last one with a name."""
        return len(self.names)

    def place(self, column: str) -> int | None:
        """The index of a column."""
        name = column.strip()
        return self.names.index(name) if name in self.names else None

    @property
    def key_place(self) -> int | None:
        """The index of the column that holds the row keys."""
        return self.place(ROW_KEY_COLUMN)


class Addition(NamedTuple):
    """Columns that the header lacks, and before which column they belong."""

    at: int
    columns: tuple[Column, ...]
    with_key: bool


def read_header(row: Sequence[object]) -> Header:
    """The header in the first row of a tab.

    Raises `ActionRequired` where a column is there twice: nobody could say which one is meant.
    """
    names = [str(cell).strip() for cell in row]
    while names and not names[-1]:
        names.pop()
    twice = sorted(name for name, count in Counter(names).items() if name and count > 1)
    if twice:
        raise ActionRequired(
            Code.INVALID_HEADER,
            f"the first row has these columns twice: {', '.join(twice)}. Rename one of each",
        )
    return Header(tuple(names))


def find_lacking(header: Header, columns: Sequence[Column]) -> Addition | None:
    """What must be added so that rows of these columns fit. Raises `ActionRequired`."""
    known = set(header.names)
    lacking: dict[str, Column] = {}
    for column in columns:
        name = column.name.strip()
        if name not in known:
            lacking.setdefault(name, Column(name, column.type))
    key_place = header.key_place
    if not lacking and key_place is not None:
        return None
    width = header.width + len(lacking) + (key_place is None)
    if width > MOST_COLUMNS:
        raise ActionRequired(
            Code.INVALID_HEADER, f"the tab would have {width} columns, Google takes {MOST_COLUMNS}"
        )
    at = header.width if key_place is None else key_place
    return Addition(at, tuple(lacking.values()), with_key=key_place is None)


def add(header: Header, addition: Addition) -> Header:
    """The header with what it lacked."""
    new = [column.name for column in addition.columns]
    if addition.with_key:
        new.append(ROW_KEY_COLUMN)
    names = [*header.names[: addition.at], *new, *header.names[addition.at :]]
    return Header(tuple(names))


def arrange(header: Header, cells: Mapping[str, object], row_key: str | None) -> list[object]:
    """A row's cells in the header's order; None where a cell is to stay as it is."""
    row: list[object] = [None] * header.width
    for column, cell in cells.items():
        place = header.place(column)
        if place is not None:
            row[place] = cell
    if row_key is not None and header.key_place is not None:
        row[header.key_place] = row_key
    return row
