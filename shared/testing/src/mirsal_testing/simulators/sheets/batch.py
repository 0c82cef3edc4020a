"""`spreadsheets.batchUpdate`: its requests are done to a draft, which counts if all succeed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mirsal_testing.simulators.sheets import batch_cells, batch_sheets
from mirsal_testing.simulators.sheets.errors import (
    GoogleError,
    in_request,
    invalid,
    unknown_field,
)
from mirsal_testing.simulators.sheets.resources import show_workbook
from mirsal_testing.simulators.sheets.values import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirsal_testing.simulators.sheets.workbook import Workbook

Json = dict[str, Any]

_HANDLERS: dict[str, tuple[Callable[[Workbook, Json], Json], frozenset[str]]] = {
    "addSheet": (batch_sheets.add_sheet, frozenset({"properties"})),
    "deleteSheet": (batch_sheets.delete_sheet, frozenset({"sheetId"})),
    "updateSheetProperties": (
        batch_sheets.update_sheet_properties, frozenset({"properties", "fields"})),
    "updateSpreadsheetProperties": (
        batch_sheets.update_spreadsheet_properties, frozenset({"properties", "fields"})),
    "appendDimension": (
        batch_sheets.append_dimension, frozenset({"sheetId", "dimension", "length", "tableId"})),
    "insertDimension": (
        batch_sheets.insert_dimension, frozenset({"range", "inheritFromBefore"})),
    "deleteDimension": (batch_sheets.delete_dimension, frozenset({"range"})),
    "updateDimensionProperties": (
        batch_sheets.update_dimension_properties,
        frozenset({"range", "properties", "fields", "dataSourceSheetRange"})),
    "repeatCell": (batch_cells.repeat_cell, frozenset({"range", "cell", "fields"})),
    "updateCells": (
        batch_cells.update_cells, frozenset({"rows", "fields", "start", "range"})),
    "appendCells": (
        batch_cells.append_cells, frozenset({"sheetId", "rows", "fields", "tableId"})),
}  # fmt: skip
_NOT_SIMULATED = frozenset(
    {
        "addBanding", "addChart", "addConditionalFormatRule", "addDataSource",
        "addDimensionGroup", "addFilterView", "addNamedRange", "addProtectedRange",
        "addSlicer", "addTable", "autoFill", "autoResizeDimensions",
        "cancelDataSourceRefresh", "clearBasicFilter", "copyPaste",
        "createDeveloperMetadata", "cutPaste", "deleteBanding",
        "deleteConditionalFormatRule", "deleteDataSource", "deleteDeveloperMetadata",
        "deleteDimensionGroup", "deleteDuplicates", "deleteEmbeddedObject",
        "deleteFilterView", "deleteNamedRange", "deleteProtectedRange", "deleteRange",
        "deleteTable", "duplicateFilterView", "duplicateSheet", "findReplace",
        "insertRange", "mergeCells", "moveDimension", "pasteData", "randomizeRange",
        "refreshDataSource", "setBasicFilter", "setDataValidation", "sortRange",
        "textToColumns", "trimWhitespace", "unmergeCells", "updateBanding",
        "updateBorders", "updateChartSpec", "updateConditionalFormatRule",
        "updateDataSource", "updateDeveloperMetadata", "updateDimensionGroup",
        "updateEmbeddedObjectBorder", "updateEmbeddedObjectPosition", "updateFilterView",
        "updateNamedRange", "updateProtectedRange", "updateSlicerSpec", "updateTable",
    }
)  # fmt: skip
_BODY = frozenset(
    {
        "requests", "includeSpreadsheetInResponse", "responseRanges",
        "responseIncludeGridData",
    }
)  # fmt: skip


def batch_update(workbook: Workbook, body: Json) -> Answer:
    """Raises GoogleError, and then nothing was done. 501 for what Google knows and this not."""
    for name in body:
        if name not in _BODY:
            raise unknown_field(name)
    requests = body.get("requests")
    if not isinstance(requests, list) or not requests:
        raise invalid("Must specify at least one request.")
    parsed = [_read_request(index, request) for index, request in enumerate(requests)]
    draft = workbook.draft()
    replies: list[Json] = []
    for index, (kind, arguments) in enumerate(parsed):
        try:
            replies.append(_HANDLERS[kind][0](draft, arguments))
        except GoogleError as error:
            raise in_request(index, kind, error) from error
    workbook.adopt(draft)
    answer: Json = {"spreadsheetId": workbook.spreadsheet_id, "replies": replies}
    if body.get("includeSpreadsheetInResponse"):
        query = {"includeGridData": body.get("responseIncludeGridData", False)}
        answer["updatedSpreadsheet"] = show_workbook(
            workbook, query, body.get("responseRanges", [])
        )
    return Answer(answer)


def _read_request(index: int, request: object) -> tuple[str, Json]:
    place = f"requests[{index}]"
    if not isinstance(request, dict) or not request:
        raise invalid(f"Invalid {place}: No request set.")
    kind, *more = request
    for name in request:
        if name not in _HANDLERS and name not in _NOT_SIMULATED:
            raise unknown_field(name, place)
    if more:
        raise invalid(
            f"Invalid value at '{place}' (oneof), oneof field 'kind' is already set. "
            f"Cannot set '{more[0]}'"
        )
    if kind in _NOT_SIMULATED:
        raise GoogleError(501, f"The Sheets simulator of Mirsal does not know {kind}.")
    arguments = request[kind]
    if not isinstance(arguments, dict):
        raise invalid(f"Invalid value at '{place}.{kind}'")
    for name in arguments:
        if name not in _HANDLERS[kind][1]:
            raise unknown_field(name, f"{place}.{kind}")
    return kind, arguments
