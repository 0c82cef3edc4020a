"""`spreadsheets.get`: a workbook as the API shows it, with or without its cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mirsal_testing.simulators.sheets.a1 import Box
from mirsal_testing.simulators.sheets.field_mask import check_mask, parse_mask, pick
from mirsal_testing.simulators.sheets.formulas import compute
from mirsal_testing.simulators.sheets.grid import Dimension, Formula, Tab, Value
from mirsal_testing.simulators.sheets.rendering import show
from mirsal_testing.simulators.sheets.value_ranges import check_begin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirsal_testing.simulators.sheets.a1 import Area
    from mirsal_testing.simulators.sheets.field_mask import Tree
    from mirsal_testing.simulators.sheets.workbook import Workbook

Json = dict[str, Any]

_PIXELS = {"row": 21, "column": 100}
_SHEET_FIELDS: Tree = {
    name: {}
    for name in (
        "properties", "data", "merges", "conditionalFormats", "filterViews", "protectedRanges",
        "basicFilter", "charts", "bandedRanges", "developerMetadata", "rowGroups",
        "columnGroups", "slicers", "tables",
    )
}  # fmt: skip
_SHEET_FIELDS["properties"] = {
    name: {}
    for name in (
        "sheetId", "title", "index", "sheetType", "gridProperties", "hidden", "tabColor",
        "tabColorStyle", "rightToLeft", "dataSourceSheetProperties",
    )
}  # fmt: skip
_FIELDS: Tree = {
    "spreadsheetId": {}, "properties": {}, "sheets": _SHEET_FIELDS, "namedRanges": {},
    "spreadsheetUrl": {}, "developerMetadata": {}, "dataSources": {}, "dataSourceSchedules": {},
}  # fmt: skip


def show_workbook(workbook: Workbook, query: Mapping[str, Any], ranges: list[str]) -> Json:
    """Cells come with `includeGridData=true`, or where the field mask asks for them."""
    mask_text = str(query.get("fields") or "")
    mask = parse_mask(mask_text) if mask_text else {}
    check_mask(mask, _FIELDS, mask_text)
    with_data = str(query.get("includeGridData", "false")).lower() == "true"
    if mask:
        with_data = "data" in mask.get("sheets", {})
    wanted: dict[int, list[Area]] = {}
    for text in ranges:
        tab, area = workbook.resolve(text)
        check_begin(tab, area)
        wanted.setdefault(tab.sheet_id, []).append(area)
    sheets = []
    for index, tab in enumerate(workbook.tabs):
        if wanted and tab.sheet_id not in wanted:
            continue
        sheet: Json = {"properties": show_properties(tab, index)}
        if with_data:
            boxes = [
                area.within(tab.rows.count, tab.columns.count)
                for area in wanted.get(tab.sheet_id, [])
            ]
            sheet["data"] = [_show_data(tab, box) for box in boxes or [_used_box(tab)]]
        sheets.append(sheet)
    whole: Json = {
        "spreadsheetId": workbook.spreadsheet_id,
        "properties": {
            "title": workbook.title,
            "locale": workbook.locale,
            "autoRecalc": "ON_CHANGE",
            "timeZone": workbook.time_zone,
        },
        "sheets": sheets,
        "spreadsheetUrl": (
            f"https://docs.google.com/spreadsheets/d/{workbook.spreadsheet_id}/edit"
        ),
    }
    found: Json = pick(whole, mask)
    return found


def show_properties(tab: Tab, index: int) -> Json:
    return {
        "sheetId": tab.sheet_id,
        "title": tab.title,
        "index": index,
        "sheetType": "GRID",
        "gridProperties": {
            "rowCount": tab.rows.count,
            "columnCount": tab.columns.count,
            **tab.grid_properties,
        },
        **tab.properties,
    }


def _used_box(tab: Tab) -> Box:
    """A whole tab ends where its values end: millions of empty rows are shown to nobody."""
    bottom = max(tab.last_row, max(tab.rows.hidden, default=-1)) + 1
    return Box(0, 0, bottom, tab.columns.count)


def _show_data(tab: Tab, box: Box) -> Json:
    rows: list[Json] = []
    for row, cells in tab.read(box):
        rows.extend({} for _ in range(row - box.top - len(rows)))
        last = max((column for column in cells if box.left <= column < box.right), default=-1)
        values = [
            _show_cell(tab, row, column, cells.get(column)) for column in range(box.left, last + 1)
        ]
        rows.append({"values": values} if values else {})
    data: Json = {}
    if box.top:
        data["startRow"] = box.top
    if box.left:
        data["startColumn"] = box.left
    if rows:
        data["rowData"] = rows
    data["rowMetadata"] = _show_dimension(tab.rows, box.top, box.bottom, "row")
    data["columnMetadata"] = _show_dimension(tab.columns, box.left, box.right, "column")
    return data


def _show_dimension(dimension: Dimension, first: int, end: int, kind: str) -> list[Json]:
    return [
        {
            **({"hiddenByUser": True} if index in dimension.hidden else {}),
            "pixelSize": dimension.sizes.get(index, _PIXELS[kind]),
        }
        for index in range(first, end)
    ]


def _show_cell(tab: Tab, row: int, column: int, value: Value | None) -> Json:
    number_format = tab.formats.of(row, column)
    cell: Json = {}
    if value is not None:
        effective = compute(value, tab) if isinstance(value, Formula) else value
        cell["userEnteredValue"] = extended_value(value)
        cell["effectiveValue"] = extended_value(effective)
        cell["formattedValue"] = show(effective, number_format)
    if number_format is not None:
        cell["userEnteredFormat"] = {"numberFormat": number_format.resource()}
        cell["effectiveFormat"] = {"numberFormat": number_format.resource()}
    return cell


def extended_value(value: Value) -> Json:
    if isinstance(value, Formula):
        return {"formulaValue": value.text}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    return {"numberValue": value}
