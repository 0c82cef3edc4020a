"""The methods of `spreadsheets.values`: get, update, append, clear and their batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mirsal_testing.simulators.sheets.a1 import Box
from mirsal_testing.simulators.sheets.errors import invalid, unknown_field
from mirsal_testing.simulators.sheets.table_finder import find_table
from mirsal_testing.simulators.sheets.value_ranges import (
    Json,
    Write,
    check_begin,
    choose,
    input_option,
    plan_write,
    read_range,
    read_sent,
)
from mirsal_testing.simulators.sheets.workbook import check_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirsal_testing.simulators.sheets.a1 import Area
    from mirsal_testing.simulators.sheets.grid import Tab
    from mirsal_testing.simulators.sheets.workbook import Workbook

_BATCH_MEMBERS = frozenset(
    {
        "valueInputOption", "data", "includeValuesInResponse", "responseValueRenderOption",
        "responseDateTimeRenderOption",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back, and how many rows the call wrote."""

    body: Json
    rows: int = 0


def get(workbook: Workbook, range_text: str, query: Mapping[str, Any]) -> Answer:
    return Answer(read_range(workbook, range_text, query))


def batch_get(workbook: Workbook, ranges: list[str], query: Mapping[str, Any]) -> Answer:
    found = [read_range(workbook, each, query) for each in ranges]
    return Answer({"spreadsheetId": workbook.spreadsheet_id, "valueRanges": found})


def update(workbook: Workbook, range_text: str, query: Mapping[str, Any], body: Json) -> Answer:
    write = plan_write(workbook, range_text, body, input_option(query))
    write.apply()
    return Answer(write.resource(workbook.spreadsheet_id, query), len(write.sent.rows))


def batch_update(workbook: Workbook, body: Json) -> Answer:
    """All ranges are checked before the first is written."""
    for name in body:
        if name not in _BATCH_MEMBERS:
            raise unknown_field(name)
    option = input_option(body)
    data = body.get("data", [])
    if not isinstance(data, list) or not all(isinstance(each, dict) for each in data):
        raise invalid("Invalid value at 'data'")
    writes = [plan_write(workbook, each.get("range", ""), each, option) for each in data]
    for write in writes:
        write.apply()
    rows = sum(len(write.sent.rows) for write in writes)
    totals = {
        "totalUpdatedRows": rows,
        "totalUpdatedColumns": sum(write.sent.width for write in writes),
        "totalUpdatedCells": sum(write.sent.cells for write in writes),
        "totalUpdatedSheets": len({write.tab.sheet_id for write in writes}),
    }
    answers = [write.resource(workbook.spreadsheet_id, body) for write in writes]
    return Answer(
        {
            "spreadsheetId": workbook.spreadsheet_id,
            **{name: count for name, count in totals.items() if count},
            "responses": answers,
        },
        rows,
    )


def append(workbook: Workbook, range_text: str, query: Mapping[str, Any], body: Json) -> Answer:
    """Writes below the table that the range touches; where it touches none, at the range.

    With INSERT_ROWS the new rows are inserted, so that nothing below is written over and the
    grid always grows; with OVERWRITE it grows only where it ends.
    """
    option = input_option(query)
    inserts = choose(query, "insertDataOption", ("OVERWRITE", "INSERT_ROWS")) == "INSERT_ROWS"
    tab, area = workbook.resolve(range_text)
    sent = read_sent(body, option)
    check_begin(tab, area)
    table = find_table(tab, area)
    top, left = (area.top, area.left) if table is None else (table.bottom, table.left)
    box = Box(top, left, top + max(len(sent.rows), 1), left + max(sent.width, 1))
    if sent.rows:
        _make_room(workbook, tab, box, inserts=inserts)
    write = Write(tab, box, sent)
    write.apply()
    answer: Json = {"spreadsheetId": workbook.spreadsheet_id}
    if table is not None:
        answer["tableRange"] = table.text(tab.title)
    answer["updates"] = write.resource(workbook.spreadsheet_id, query)
    return Answer(answer, len(sent.rows))


def _make_room(workbook: Workbook, tab: Tab, box: Box, *, inserts: bool) -> None:
    """Grows the grid for the box. Raises GoogleError where the workbook cannot, unchanged."""
    height = box.bottom - box.top
    rows = height if inserts else max(0, box.bottom - tab.rows.count)
    columns = max(0, box.right - tab.columns.count)
    check_size(tab.rows.count + rows, tab.columns.count + columns)
    grown = (tab.rows.count + rows) * (tab.columns.count + columns)
    workbook.check_growth(grown - tab.cell_count)
    if columns:
        tab.columns.insert(tab.columns.count, columns)
    if inserts:
        tab.insert_rows(box.top, height)
    elif rows:
        tab.insert_rows(tab.rows.count, rows)


def clear(workbook: Workbook, range_text: str) -> Answer:
    tab, area = workbook.resolve(range_text)
    return Answer(
        {
            "spreadsheetId": workbook.spreadsheet_id,
            "clearedRange": _clear(tab, area),
        }
    )


def batch_clear(workbook: Workbook, body: Json) -> Answer:
    ranges = body.get("ranges", [])
    if not isinstance(ranges, list):
        raise invalid("Invalid value at 'ranges'")
    found = [workbook.resolve(each) for each in ranges]
    for tab, area in found:
        check_begin(tab, area)
    return Answer(
        {
            "spreadsheetId": workbook.spreadsheet_id,
            "clearedRanges": [_clear(tab, area) for tab, area in found],
        }
    )


def _clear(tab: Tab, area: Area) -> str:
    check_begin(tab, area)
    box = area.within(tab.rows.count, tab.columns.count)
    tab.clear(box)
    return box.text(tab.title)
