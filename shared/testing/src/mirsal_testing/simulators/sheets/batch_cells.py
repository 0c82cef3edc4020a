"""Requests of a batchUpdate about cells: values and number formats by grid coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mirsal_testing.simulators.sheets.a1 import Area
from mirsal_testing.simulators.sheets.batch_sheets import (
    append_dimension,
    mask_of,
    object_of,
    whole_number,
)
from mirsal_testing.simulators.sheets.entry import enter_raw
from mirsal_testing.simulators.sheets.errors import beyond_grid, invalid
from mirsal_testing.simulators.sheets.formats import NumberFormat
from mirsal_testing.simulators.sheets.grid import Formula
from mirsal_testing.simulators.sheets.value_ranges import area_text

if TYPE_CHECKING:
    from mirsal_testing.simulators.sheets.field_mask import Tree
    from mirsal_testing.simulators.sheets.grid import Tab, Value
    from mirsal_testing.simulators.sheets.workbook import Workbook

Json = dict[str, Any]

_TYPES = frozenset(
    {"TEXT", "NUMBER", "PERCENT", "CURRENCY", "DATE", "TIME", "DATE_TIME", "SCIENTIFIC"}
)


def repeat_cell(workbook: Workbook, arguments: Json) -> Json:
    """One cell's value or number format for a whole range."""
    tab, area = _grid_range(workbook, object_of(arguments, "range"))
    cell = object_of(arguments, "cell")
    mask = mask_of(arguments)
    if _names_format(mask):
        tab.formats.set_area(area, _number_format(cell))
    if "userEnteredValue" in mask or "*" in mask:
        box = area.within(tab.rows.count, tab.columns.count)
        value = _value(cell)
        for row in range(box.top, box.bottom):
            for column in range(box.left, box.right):
                _put(tab, row, column, value)
    return {}


def update_cells(workbook: Workbook, arguments: Json) -> Json:
    if "start" in arguments:
        start = object_of(arguments, "start")
        tab = _tab(workbook, start.get("sheetId", 0))
        top, left = whole_number(start, "rowIndex", 0), whole_number(start, "columnIndex", 0)
        area = Area(top, left)
    else:
        tab, area = _grid_range(workbook, object_of(arguments, "range"))
    rows = _rows(arguments)
    _check_room(tab, area.top, area.left, rows)
    _write(tab, area.top, area.left, rows, mask_of(arguments))
    return {}


def append_cells(workbook: Workbook, arguments: Json) -> Json:
    """Below the last row of the tab that has a value. Adds rows, but no columns."""
    sheet_id = arguments.get("sheetId", 0)
    tab = _tab(workbook, sheet_id)
    rows = _rows(arguments)
    mask = mask_of(arguments)
    top = tab.last_row + 1
    more = top + len(rows) - tab.rows.count
    if more > 0:
        append_dimension(workbook, {"sheetId": sheet_id, "dimension": "ROWS", "length": more})
    _check_room(tab, top, 0, rows)
    _write(tab, top, 0, rows, mask)
    return {}


def _check_room(tab: Tab, top: int, left: int, rows: list[list[Json]]) -> None:
    width = max((len(row) for row in rows), default=0)
    for name, last, count in (
        ("row", top + len(rows) - 1, tab.rows.count),
        ("column", left + width - 1, tab.columns.count),
    ):
        if last >= count:
            raise invalid(
                f"Attempting to write {name}: {last}, beyond the last requested {name} of: "
                f"{count - 1}"
            )


def _tab(workbook: Workbook, sheet_id: object) -> Tab:
    if not any(tab.sheet_id == sheet_id for tab in workbook.tabs):
        raise invalid(f"No grid with id: {sheet_id}")
    return workbook.change(sheet_id)


def _grid_range(workbook: Workbook, span: Json) -> tuple[Tab, Area]:
    tab = _tab(workbook, span.get("sheetId", 0))
    ends = [
        whole_number(span, name, 0) if name in span else None
        for name in ("endRowIndex", "endColumnIndex")
    ]
    top, left = whole_number(span, "startRowIndex", 0), whole_number(span, "startColumnIndex", 0)
    for start, end in ((top, ends[0]), (left, ends[1])):
        if start < 0 or (end is not None and end <= start):
            raise invalid(f"end index [{end}] must be greater than start index [{start}]")
    area = Area(top, left, ends[0], ends[1])
    rows, columns = tab.rows.count, tab.columns.count
    if top >= rows or left >= columns or (ends[0] or 0) > rows or (ends[1] or 0) > columns:
        raise beyond_grid(area_text(tab, area), rows, columns)
    return tab, area


def _rows(arguments: Json) -> list[list[Json]]:
    rows = arguments.get("rows", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise invalid("Invalid value at 'rows'")
    return [row.get("values", []) for row in rows]


def _write(tab: Tab, top: int, left: int, rows: list[list[Json]], mask: Tree) -> None:
    values = "userEnteredValue" in mask or "*" in mask
    for row, cells in enumerate(rows, top):
        for column, cell in enumerate(cells, left):
            if values:
                _put(tab, row, column, _value(cell))
            number_format = _number_format(cell) if _names_format(mask) else None
            if number_format is not None:
                tab.formats.set_cell(row, column, number_format)


def _put(tab: Tab, row: int, column: int, value: Value | None) -> None:
    if value is None:
        tab.remove(row, column)
    else:
        tab.put(row, column, value)


def _names_format(mask: Tree) -> bool:
    inner = mask.get("userEnteredFormat")
    return "*" in mask or (
        inner is not None and (not inner or "*" in inner or "numberFormat" in inner)
    )


def _number_format(cell: Json) -> NumberFormat | None:
    """None is automatic. Raises GoogleError for a type that there is not."""
    sent = object_of(object_of(cell, "userEnteredFormat"), "numberFormat")
    if not sent:
        return None
    kind = sent.get("type")
    if kind not in _TYPES:
        raise invalid(f"Invalid value at 'cell.user_entered_format.number_format.type', {kind!r}")
    return NumberFormat(str(kind), str(sent.get("pattern") or ""))


def _value(cell: Json) -> Value | None:
    """An ExtendedValue. Raises GoogleError for one that is none, or too long."""
    sent = object_of(cell, "userEnteredValue")
    if not sent:
        return None
    ((name, value), *_) = sent.items()
    wanted: dict[str, type | tuple[type, ...]] = {
        "stringValue": str, "formulaValue": str, "boolValue": bool, "numberValue": (int, float),
    }  # fmt: skip
    if name not in wanted or not isinstance(value, wanted[name]):
        raise invalid(f"Invalid value at 'user_entered_value.{name}'")
    if name == "formulaValue":
        return Formula(str(value))
    return enter_raw(value).value
