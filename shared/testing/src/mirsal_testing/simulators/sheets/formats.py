"""Number formats of a tab's cells: of single cells, and of whole areas laid over each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mirsal_testing.simulators.sheets.a1 import Area


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """As in the API: a type (NUMBER, DATE, ...), and a pattern where it is not the default."""

    type: str
    pattern: str = ""

    def resource(self) -> dict[str, str]:
        return {"type": self.type, "pattern": self.pattern} if self.pattern else {"type": self.type}


class FormatLayers:
    """The newest of what was set for a cell counts; None: automatic."""

    def __init__(self) -> None:
        self._areas: list[tuple[Area, NumberFormat | None]] = []
        self._cells: dict[tuple[int, int], NumberFormat] = {}

    def copy(self) -> FormatLayers:
        twin = FormatLayers()
        twin._areas = list(self._areas)
        twin._cells = dict(self._cells)
        return twin

    def of(self, row: int, column: int) -> NumberFormat | None:
        if self._cells:
            own = self._cells.get((row, column))
            if own is not None:
                return own
        for area, number_format in reversed(self._areas):
            if area.holds(row, column):
                return number_format
        return None

    def set_cell(self, row: int, column: int, number_format: NumberFormat) -> None:
        self._cells[row, column] = number_format

    def set_area(self, area: Area, number_format: NumberFormat | None) -> None:
        self._areas = [each for each in self._areas if each[0] != area]
        self._areas.append((area, number_format))
        self._cells = {place: own for place, own in self._cells.items() if not area.holds(*place)}

    def insert_rows(self, at: int, number: int) -> None:
        if self._cells:
            self._cells = {
                (row + number if row >= at else row, column): own
                for (row, column), own in self._cells.items()
            }
        if self._areas:
            self._areas = [
                (replace(area, top=_after_insert(area.top, at, number),
                         bottom=_end_after_insert(area.bottom, at, number)), own)
                for area, own in self._areas
            ]  # fmt: skip

    def insert_columns(self, at: int, number: int) -> None:
        self._cells = {
            (row, column + number if column >= at else column): own
            for (row, column), own in self._cells.items()
        }
        self._areas = [
            (replace(area, left=_after_insert(area.left, at, number),
                     right=_end_after_insert(area.right, at, number)), own)
            for area, own in self._areas
        ]  # fmt: skip

    def delete_rows(self, at: int, number: int) -> None:
        end = at + number
        self._cells = {
            (row - number if row >= end else row, column): own
            for (row, column), own in self._cells.items()
            if not at <= row < end
        }
        moved = [
            (replace(area, top=_after_delete(area.top, at, number),
                     bottom=_end_after_delete(area.bottom, at, number)), own)
            for area, own in self._areas
        ]  # fmt: skip
        self._areas = [each for each in moved if _has_cells(each[0])]

    def delete_columns(self, at: int, number: int) -> None:
        end = at + number
        self._cells = {
            (row, column - number if column >= end else column): own
            for (row, column), own in self._cells.items()
            if not at <= column < end
        }
        moved = [
            (replace(area, left=_after_delete(area.left, at, number),
                     right=_end_after_delete(area.right, at, number)), own)
            for area, own in self._areas
        ]  # fmt: skip
        self._areas = [each for each in moved if _has_cells(each[0])]


def _after_insert(place: int, at: int, number: int) -> int:
    # An area that begins at the very first row or column goes on beginning there.
    return place + number if place >= at and place > 0 else place


def _end_after_insert(end: int | None, at: int, number: int) -> int | None:
    # What is inserted right behind an area takes its format, as Sheets does.
    return None if end is None else end + number if end >= at else end


def _after_delete(place: int, at: int, number: int) -> int:
    return place if place < at else max(at, place - number)


def _end_after_delete(end: int | None, at: int, number: int) -> int | None:
    return None if end is None else _after_delete(end, at, number)


def _has_cells(area: Area) -> bool:
    return (area.bottom is None or area.bottom > area.top) and (
        area.right is None or area.right > area.left
    )
