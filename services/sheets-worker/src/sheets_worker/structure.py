"""Requests of `spreadsheets.batchUpdate` that make tabs, columns and their formats. Pure."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from sheets_worker.cells import NUMBER_FORMATS
from sheets_worker.header import Addition, Header, add
from sheets_worker.rows import ROW_KEY_COLUMN, Column

Requests: TypeAlias = list[dict[str, Any]]

NEW_ROWS = 1000
_NUMBER_FORMAT = "userEnteredFormat.numberFormat"


class Sheet(NamedTuple):
    """A tab as the spreadsheet's properties show it."""

    id: int
    title: str
    rows: int
    columns: int

    @property
    def cells(self) -> int:
        """How many cells of the workbook's it takes, used or not."""
        return self.rows * self.columns


def read_sheets(properties: dict[str, Any]) -> list[Sheet]:
    """The tabs of a spreadsheet that have a grid."""
    found = []
    for each in properties.get("sheets", ()):
        known = each.get("properties", {})
        grid = known.get("gridProperties")
        if grid is not None:
            found.append(
                Sheet(
                    known.get("sheetId", 0),
                    known.get("title", ""),
                    grid.get("rowCount", 0),
                    grid.get("columnCount", 0),
                )
            )
    return found


def make_tab(sheet_id: int, title: str, addition: Addition) -> Requests:
    """A new tab with its header, which stays in sight."""
    header = add(Header(()), addition)
    grid = {"rowCount": NEW_ROWS, "columnCount": max(1, header.width), "frozenRowCount": 1}
    properties = {"sheetId": sheet_id, "title": title, "gridProperties": grid}
    return [{"addSheet": {"properties": properties}}, *_fill(sheet_id, header, addition)]


def add_columns(sheet: Sheet, header: Header, addition: Addition) -> Requests:
    """Columns that the header lacks.

    In a tab with a header they are inserted, so that nothing that stands beside is overwritten
    or hidden; an empty first row is written where it is.
    """
    new = len(addition.columns) + addition.with_key
    grown = add(header, addition)
    requests: Requests = []
    if header.width:
        dimension = _columns(sheet.id, addition.at, addition.at + new)
        if addition.at < sheet.columns:
            requests.append(
                {"insertDimension": {"range": dimension, "inheritFromBefore": addition.at > 0}}
            )
        else:
            requests.append(
                {"appendDimension": {"sheetId": sheet.id, "dimension": "COLUMNS", "length": new}}
            )
    elif sheet.columns < grown.width:
        length = grown.width - sheet.columns
        requests.append(
            {"appendDimension": {"sheetId": sheet.id, "dimension": "COLUMNS", "length": length}}
        )
    return [*requests, *_fill(sheet.id, grown, addition)]


def format_columns(sheet_id: int, header: Header, columns: Sequence[Column]) -> Requests:
    """Number formats of columns of dates.

    The first row is formatted too: rows that are inserted below it take its format over.
    """
    requests: Requests = []
    for column in columns:
        place = header.place(column.name)
        if column.type is None or column.type not in NUMBER_FORMATS or place is None:
            continue
        kind, pattern = NUMBER_FORMATS[column.type]
        cell = {"userEnteredFormat": {"numberFormat": {"type": kind, "pattern": pattern}}}
        span = {"sheetId": sheet_id, "startColumnIndex": place, "endColumnIndex": place + 1}
        requests.append({"repeatCell": {"range": span, "cell": cell, "fields": _NUMBER_FORMAT}})
    return requests


def _fill(sheet_id: int, header: Header, addition: Addition) -> Requests:
    """The new columns' names and formats, and the row keys' column out of sight."""
    last = addition.at + len(addition.columns) + addition.with_key
    names = [
        {"userEnteredValue": {"stringValue": name}} for name in header.names[addition.at : last]
    ]
    start = {"sheetId": sheet_id, "rowIndex": 0, "columnIndex": addition.at}
    requests: Requests = [
        {
            "updateCells": {
                "start": start,
                "rows": [{"values": names}],
                "fields": "userEnteredValue",
            }
        },
        *format_columns(sheet_id, header, addition.columns),
    ]
    key_place = header.place(ROW_KEY_COLUMN)
    if addition.with_key and key_place is not None:
        requests.append(
            {
                "updateDimensionProperties": {
                    "range": _columns(sheet_id, key_place, key_place + 1),
                    "properties": {"hiddenByUser": True},
                    "fields": "hiddenByUser",
                }
            }
        )
    return requests


def _columns(sheet_id: int, start: int, end: int) -> dict[str, Any]:
    return {"sheetId": sheet_id, "dimension": "COLUMNS", "startIndex": start, "endIndex": end}
