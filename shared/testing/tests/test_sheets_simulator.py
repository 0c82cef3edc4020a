"""The Sheets simulator, driven by the unmodified gspread: what it answers, and what then stands."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import gspread
import pytest
from gspread.utils import (
    DateTimeOption,
    Dimension,
    InsertDataOption,
    ValueInputOption,
    ValueRenderOption,
)
from mirsal_testing.simulators.sheets import SheetsSimulator, TabSpec
from mirsal_testing.simulators.sheets.gspread_client import connect_gspread

if TYPE_CHECKING:
    from collections.abc import Callable

RAW = ValueInputOption.raw
TYPED = ValueInputOption.user_entered
INSERT = InsertDataOption.insert_rows
HEADER = ["الاسم", "phone", "when"]
Rows = list[list[str | int | float | bool | None]]
ResultT = TypeVar("ResultT")


async def drive(
    simulator: SheetsSimulator,
    work: Callable[[gspread.Spreadsheet], ResultT],
    *tabs: TabSpec,
    key: str = "leads-2026",
) -> ResultT:
    """Does `work` in a thread with a spreadsheet opened by key."""
    if simulator.library.find(key) is None:
        simulator.add_spreadsheet(key, tabs)

    def run() -> ResultT:
        client = connect_gspread(simulator.url, simulator.service_account_info)
        try:
            return work(client.open_by_key(key))
        finally:
            client.http_client.session.close()

    return await asyncio.to_thread(run)


async def test_a_spreadsheet_opens_by_key(sheets_simulator: SheetsSimulator) -> None:
    def work(book: gspread.Spreadsheet) -> Any:
        partial = book.fetch_sheet_metadata({"fields": "sheets.properties(title,gridProperties)"})
        return book.title, [(s.title, s.row_count, s.col_count) for s in book.worksheets()], partial

    title, sheets, partial = await drive(
        sheets_simulator, work, TabSpec(title="عملاء", rows=50, columns=4), TabSpec(title="Two")
    )
    assert title == "Leads"
    assert sheets == [("عملاء", 50, 4), ("Two", 1000, 26)]
    assert partial["sheets"][0] == {
        "properties": {
            "title": "عملاء", "gridProperties": {"rowCount": 50, "columnCount": 4},
        }
    }  # fmt: skip
    assert set(partial) == {"sheets"}


async def test_raw_values_stay_and_typed_ones_are_mangled(
    sheets_simulator: SheetsSimulator,
) -> None:
    sent = ["سارة", "0501", "=1+1", "1/2/2026", 3, True, "'x", "+966", ""]

    def work(book: gspread.Spreadsheet) -> Any:
        sheet = book.sheet1
        sheet.update([sent], "A1", raw=True)
        sheet.update([sent], "A2", raw=False)
        return (
            sheet.get("A1:I2", value_render_option=ValueRenderOption.unformatted),
            sheet.get("A2:I2", value_render_option=ValueRenderOption.formula)[0],
            sheet.get("A2:I2")[0],
            sheet.get(
                "D2", value_render_option=ValueRenderOption.unformatted,
                date_time_render_option=DateTimeOption.formatted_string,
            ),
        )  # fmt: skip

    (raw, typed), formulas, shown, moment = await drive(sheets_simulator, work)
    assert raw == ["سارة", "0501", "=1+1", "1/2/2026", 3, True, "'x", "+966"]
    assert typed == ["سارة", 501, 2, 46024, 3, True, "x", 966]
    assert formulas[2] == "=1+1"
    assert shown == ["سارة", "501", "2", "1/2/2026", "3", "TRUE", "x", "966"]
    assert moment == [["1/2/2026"]]


async def test_append_finds_the_table_and_inserts_rows(sheets_simulator: SheetsSimulator) -> None:
    def work(book: gspread.Spreadsheet) -> Any:
        sheet = book.sheet1
        anchored = book.values_append(
            "Leads!A1:C1",
            {"valueInputOption": "RAW", "insertDataOption": "INSERT_ROWS",
             "includeValuesInResponse": "true"},
            {"values": [["ليلى", "007", None], ["Sam", "8", "x"]]},
        )  # fmt: skip
        return anchored, sheet.get_all_values(), book.fetch_sheet_metadata()

    answer, rows, metadata = await drive(
        sheets_simulator,
        work,
        TabSpec(title="Leads", rows=10, columns=5,
                values=[HEADER, ["a", "1", "2"], [], ["below"]]),
    )  # fmt: skip
    assert answer == {
        "spreadsheetId": "leads-2026",
        "tableRange": "Leads!A1:C2",
        "updates": {
            "spreadsheetId": "leads-2026",
            "updatedRange": "Leads!A3:C4",
            "updatedRows": 2,
            "updatedColumns": 3,
            "updatedCells": 5,
            "updatedData": {
                "range": "Leads!A3:C4",
                "majorDimension": "ROWS",
                "values": [["ليلى", "007"], ["Sam", "8", "x"]],
            },
        },
    }
    assert rows == [
        HEADER, ["a", "1", "2"], ["ليلى", "007", ""], ["Sam", "8", "x"], ["", "", ""],
        ["below", "", ""],
    ]  # fmt: skip
    assert metadata["sheets"][0]["properties"]["gridProperties"]["rowCount"] == 12


async def test_append_overwrites_what_is_below_and_grows_only_at_the_end(
    sheets_simulator: SheetsSimulator,
) -> None:
    def work(book: gspread.Spreadsheet) -> Any:
        sheet = book.worksheet("Leads")
        sheet.append_rows([["n1"], ["n2"]], value_input_option=RAW, table_range="A1")
        rows = sheet.get_all_values()
        sheet.append_rows([[str(n)] for n in range(9)], value_input_option=RAW, table_range="A1")
        return rows, book.worksheet("Leads").row_count

    spec = TabSpec(title="Leads", rows=5, columns=1, values=[["h"], [], ["below"]])
    rows, count = await drive(sheets_simulator, work, spec)
    assert rows == [["h"], ["n1"], ["n2"]]
    assert count == 12


async def test_rows_drift_where_the_range_is_not_anchored(
    sheets_simulator: SheetsSimulator,
) -> None:
    def work(book: gspread.Spreadsheet) -> Any:
        first = book.sheet1.append_row(["x"], value_input_option=RAW)
        second = book.sheet1.append_row(["x"], value_input_option=RAW, table_range="A1:D1")
        return first["updates"]["updatedRange"], second["updates"]["updatedRange"]

    values: Rows = [["a", "b"], [], [None, None, None, "late"]]
    drifted, anchored = await drive(sheets_simulator, work, TabSpec(title="T", values=values))
    assert drifted == "T!D4"
    assert anchored == "T!A2"


async def test_reading_in_both_dimensions_and_many_ranges(
    sheets_simulator: SheetsSimulator,
) -> None:
    def work(book: gspread.Spreadsheet) -> Any:
        sheet = book.worksheet("It's 1")
        by_column = sheet.get("A1:C3", major_dimension=Dimension.cols)
        sheet.update([["x", "y"], ["z"]], "E1", major_dimension=Dimension.cols, raw=True)
        ranges = ["A2:A", "C:C", "3:3", "'It''s 1'!$B$1", "It's 1"]
        found = book.values_batch_get(ranges)["valueRanges"]
        return by_column, sheet.get("E1:F2"), [each.get("values") for each in found], found

    values: Rows = [["a", "b"], [], ["c", None, "d"]]
    by_column, turned, many, found = await drive(
        sheets_simulator, work, TabSpec(title="It's 1", rows=20, columns=8, values=values)
    )
    assert by_column == [["a", "", "c"], ["b"], ["", "", "d"]]
    assert turned == [["x", "z"], ["y"]]
    assert many == [
        [[], ["c"]],
        [[], [], ["d"]],
        [["c", "", "d"]],
        [["b"]],
        [["a", "b", "", "", "x", "z"], ["", "", "", "", "y"], ["c", "", "d"]],
    ]
    assert [each["range"] for each in found] == [
        "'It''s 1'!A2:A20", "'It''s 1'!C1:C20", "'It''s 1'!A3:H3", "'It''s 1'!B1",
        "'It''s 1'!A1:H20",
    ]  # fmt: skip


async def test_batch_update_of_values_is_all_or_nothing(sheets_simulator: SheetsSimulator) -> None:
    def work(book: gspread.Spreadsheet) -> Any:
        sheet = book.sheet1
        with pytest.raises(gspread.exceptions.APIError):
            sheet.batch_update(
                [{"range": "A1", "values": [["x"]]}, {"range": "A9999", "values": [["y"]]}]
            )
        before = sheet.get_all_values()
        data = [
            {"range": "A1:B1", "values": [["x", "y"]]},
            {"range": "C3", "values": [["z"]]},
        ]
        return before, sheet.batch_update(data), sheet.get_all_values()

    before, answer, after = await drive(sheets_simulator, work)
    assert before in ([], [[]])
    assert answer["totalUpdatedCells"] == 3
    assert answer["totalUpdatedSheets"] == 1
    assert [each["updatedRange"] for each in answer["responses"]] == ["Sheet1!A1:B1", "Sheet1!C3"]
    assert after == [["x", "y", ""], ["", "", ""], ["", "", "z"]]


async def test_clearing(sheets_simulator: SheetsSimulator) -> None:
    def work(book: gspread.Spreadsheet) -> Any:
        sheet = book.sheet1
        sheet.update([["a", "b"], ["c", "d"], ["e", "f"]], "A1")
        one = book.values_clear("Sheet1!A2:A")
        sheet.batch_clear(["B1", "B3:C3"])
        left = sheet.get_all_values()
        sheet.clear()
        return one, left, sheet.get_all_values()

    answer, left, empty = await drive(sheets_simulator, work)
    assert answer == {"spreadsheetId": "leads-2026", "clearedRange": "Sheet1!A2:A1000"}
    assert left == [["a", ""], ["", "d"]]
    assert empty in ([], [[]])


async def test_tabs_are_made_renamed_sized_and_deleted(sheets_simulator: SheetsSimulator) -> None:
    def work(book: gspread.Spreadsheet) -> Any:
        made = book.add_worksheet("عملاء جدد", rows=30, cols=3, index=0)
        made.append_row(["س"], value_input_option=RAW)
        made.update_title("قدامى")
        made.resize(rows=40, cols=2)
        made.add_rows(5)
        made.freeze(rows=1)
        made.insert_rows([["top"]], 1)
        made.delete_rows(2)
        sizes = [(s.title, s.row_count, s.col_count) for s in book.worksheets()]
        values = book.worksheet("قدامى").get_all_values()
        frozen = book.worksheet("قدامى").frozen_row_count
        book.del_worksheet(book.worksheet("Sheet1"))
        return sizes, values, frozen, [s.title for s in book.worksheets()]

    sizes, values, frozen, left = await drive(sheets_simulator, work)
    assert sizes == [("قدامى", 45, 2), ("Sheet1", 1000, 26)]
    assert values == [["top"]]
    assert frozen == 1
    assert left == ["قدامى"]


@pytest.mark.parametrize(
    "title",
    [
        "a/b",
        "50%",
        "50%25",
        "x:append",
        "q?a=b&c#d",
        "It's",
        "A1",
        "R1C1",
        "!",
        "سعر € 1",
        "a+b c",
        "👋",
    ],
)
async def test_tabs_may_have_any_name(sheets_simulator: SheetsSimulator, title: str) -> None:
    def work(book: gspread.Spreadsheet) -> Any:
        made = book.add_worksheet(title, rows=5, cols=3)
        made.update([["h"]], "A1")
        made.append_row(["x"], value_input_option=RAW, table_range="A1:C1")
        made.batch_clear(["B1:C1"])
        book.values_clear(f"{gspread.utils.absolute_range_name(title)}!C:C")
        ranges = [gspread.utils.absolute_range_name(title, "A2")]
        return made.get_all_values(), book.values_batch_get(ranges)["valueRanges"][0]["values"]

    assert await drive(sheets_simulator, work) == ([["h"], ["x"]], [["x"]])


async def test_columns_are_hidden_and_have_number_formats(
    sheets_simulator: SheetsSimulator,
) -> None:
    def work(book: gspread.Spreadsheet) -> Any:
        sheet = book.sheet1
        sheet.format("B:B", {"numberFormat": {"type": "DATE_TIME", "pattern": "yyyy-mm-dd hh:mm"}})
        # All rows that there are, so those that come later, too.
        sheet.format("C1:C1000", {"numberFormat": {"type": "PERCENT", "pattern": "0%"}})
        sheet.hide_columns(2, 3)
        sheet.append_row(["x", 46024.5, "key"], value_input_option=RAW)
        sheet.add_rows(100)
        sheet.update([[0.25]], "C1100", raw=True)
        share = sheet.acell("C1100").value
        sheet.batch_clear(["C1100"])
        sheet.append_row(["y", 46025, "key"], value_input_option=RAW, insert_data_option=INSERT)
        fields = "sheets(data(columnMetadata(hiddenByUser),rowData/values/userEnteredFormat))"
        data = book.fetch_sheet_metadata({"fields": fields, "ranges": "Sheet1!A1:D2"})
        return sheet.get_all_values(), share, data["sheets"][0]["data"][0]

    values, share, data = await drive(sheets_simulator, work)
    assert values == [["x", "2026-01-02 12:00", "key"], ["y", "2026-01-03 00:00", "key"]]
    assert share == "25%"
    assert data["columnMetadata"] == [{}, {}, {"hiddenByUser": True}, {}]
    assert data["rowData"][1]["values"][1]["userEnteredFormat"] == {
        "numberFormat": {"type": "DATE_TIME", "pattern": "yyyy-mm-dd hh:mm"}
    }


async def test_a_batch_is_all_or_nothing(sheets_simulator: SheetsSimulator) -> None:
    def work(book: gspread.Spreadsheet) -> Any:
        sheet_id = book.sheet1.id
        book.sheet1.update([["kept"]], "A1")
        with pytest.raises(gspread.exceptions.APIError) as refused:
            book.batch_update(
                {
                    "requests": [
                        {"addSheet": {"properties": {"title": "New"}}},
                        {"deleteDimension": {"range": {
                            "sheetId": sheet_id, "dimension": "ROWS", "startIndex": 0,
                            "endIndex": 5}}},
                        {"deleteSheet": {"sheetId": 77}},
                    ]
                }
            )  # fmt: skip
        return refused.value, [s.title for s in book.worksheets()], book.sheet1.get_all_values()

    error, titles, values = await drive(sheets_simulator, work)
    assert error.error["message"] == "Invalid requests[2].deleteSheet: No sheet with id: 77"
    assert titles == ["Sheet1"]
    assert values == [["kept"]]


async def test_cells_by_coordinates(sheets_simulator: SheetsSimulator) -> None:
    def cell(kind: str, value: object) -> dict[str, object]:
        return {"userEnteredValue": {kind: value}}

    def work(book: gspread.Spreadsheet) -> Any:
        fields = "userEnteredValue"
        book.batch_update(
            {
                "requests": [
                    {"updateCells": {
                        "start": {"sheetId": 0, "rowIndex": 1, "columnIndex": 1},
                        "rows": [{"values": [cell("stringValue", "=no"), cell("numberValue", 2)]}],
                        "fields": fields}},
                    {"appendCells": {
                        "sheetId": 0, "fields": fields,
                        "rows": [{"values": [cell("boolValue", True),
                                             cell("formulaValue", "=1+2")]}]}},
                    {"repeatCell": {
                        "range": {"sheetId": 0, "startRowIndex": 4, "endRowIndex": 6,
                                  "startColumnIndex": 0, "endColumnIndex": 1},
                        "cell": cell("stringValue", "r"), "fields": fields}},
                ]
            }
        )  # fmt: skip
        return book.sheet1.get_all_values()

    assert await drive(sheets_simulator, work) == [
        ["", "", ""], ["", "=no", "2"], ["TRUE", "3", ""], ["", "", ""], ["r", "", ""],
        ["r", "", ""],
    ]  # fmt: skip


async def test_a_refresh_token_is_as_good_as_a_service_account(
    sheets_simulator: SheetsSimulator,
) -> None:
    sheets_simulator.add_spreadsheet("b")
    info = sheets_simulator.authorized_user_info

    def work() -> str:
        client = connect_gspread(sheets_simulator.url, info)
        try:
            return client.open_by_key("b").title
        finally:
            client.http_client.session.close()

    assert await asyncio.to_thread(work) == "Leads"
    assert {call.user for call in sheets_simulator.calls} == {None, sheets_simulator.person.email}
