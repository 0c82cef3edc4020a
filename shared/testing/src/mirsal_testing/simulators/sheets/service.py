"""The API itself: from a target, a query and a body to an answer. No HTTP, no rules, no quota."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from mirsal_testing.simulators.sheets import batch, values
from mirsal_testing.simulators.sheets.calls import (
    BATCH_UPDATE,
    CREATE,
    GET,
    VALUES_APPEND,
    VALUES_BATCH_CLEAR,
    VALUES_BATCH_GET,
    VALUES_BATCH_UPDATE,
    VALUES_CLEAR,
    VALUES_GET,
    VALUES_UPDATE,
    Method,
    unknown_option,
)
from mirsal_testing.simulators.sheets.errors import GoogleError, invalid, unknown_field
from mirsal_testing.simulators.sheets.library import SpreadsheetSpec, TabSpec
from mirsal_testing.simulators.sheets.resources import show_workbook
from mirsal_testing.simulators.sheets.value_ranges import check_object
from mirsal_testing.simulators.sheets.values import Answer
from mirsal_testing.simulators.sheets.workbook import Workbook

if TYPE_CHECKING:
    from mirsal_testing.simulators.sheets.calls import Target
    from mirsal_testing.simulators.sheets.library import Library

Json = dict[str, Any]


def perform(
    library: Library, target: Target, query: Mapping[str, str], ranges: list[str], body: bytes
) -> Answer:
    """Does what was asked. Raises GoogleError, and then nothing was done."""
    method = target.method
    unknown = unknown_option(method, query)
    if unknown is not None:
        raise GoogleError(
            400,
            f'Invalid JSON payload received. Unknown name "{unknown}": Cannot bind query '
            f"parameter. Field '{unknown}' could not be found in request message.",
        )
    sent = _read_json(body) if method.kind == "write" else {}
    if method is CREATE:
        return _create(library, sent)
    book = library.open(target.spreadsheet_id, writes=method.kind == "write")
    return _DO[method](book, target.range, query, ranges, sent)


_Handler = Callable[[Workbook, str, Mapping[str, str], list[str], Json], Answer]
_DO: dict[Method, _Handler] = {
    GET: lambda book, _, query, ranges, __: Answer(show_workbook(book, query, ranges)),
    BATCH_UPDATE: lambda book, _, __, ___, sent: batch.batch_update(book, sent),
    VALUES_GET: lambda book, cells, query, _, __: values.get(book, cells, query),
    VALUES_BATCH_GET: lambda book, _, query, ranges, __: values.batch_get(book, ranges, query),
    VALUES_UPDATE: lambda book, cells, query, _, sent: values.update(book, cells, query, sent),
    VALUES_APPEND: lambda book, cells, query, _, sent: values.append(book, cells, query, sent),
    VALUES_CLEAR: lambda book, cells, _, __, ___: values.clear(book, cells),
    VALUES_BATCH_UPDATE: lambda book, _, __, ___, sent: values.batch_update(book, sent),
    VALUES_BATCH_CLEAR: lambda book, _, __, ___, sent: values.batch_clear(book, sent),
}


def _read_json(body: bytes) -> Json:
    if not body:
        return {}
    try:
        return check_object(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise invalid(f"Invalid JSON payload received. {error}") from error


def _create(library: Library, sent: Json) -> Answer:
    for name in sent:
        if name not in ("properties", "sheets"):
            raise unknown_field(name)
    properties = sent.get("properties") or {}
    sheets = sent.get("sheets") or [{}]
    tabs = []
    for number, sheet in enumerate(sheets, 1):
        each = sheet.get("properties") or {}
        grid = each.get("gridProperties") or {}
        tabs.append(
            TabSpec(
                title=each.get("title") or f"Sheet{number}",
                rows=grid.get("rowCount") or 1000,
                columns=grid.get("columnCount") or 26,
            )
        )
    title = str(properties.get("title") or "Untitled spreadsheet")
    book = library.add(SpreadsheetSpec(title=title, tabs=tabs))
    return Answer(show_workbook(book, {}, []))
