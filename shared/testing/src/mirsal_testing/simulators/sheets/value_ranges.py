"""ValueRange, the API's block of values: checked when sent, made when read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mirsal_testing.simulators.sheets.a1 import Area, Box, column_name
from mirsal_testing.simulators.sheets.entry import Entry, enter_raw, enter_typed
from mirsal_testing.simulators.sheets.errors import (
    GoogleError,
    beyond_grid,
    beyond_range,
    invalid,
    unknown_field,
)
from mirsal_testing.simulators.sheets.formulas import compute
from mirsal_testing.simulators.sheets.grid import Formula
from mirsal_testing.simulators.sheets.rendering import MOMENT_TYPES, show

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mirsal_testing.simulators.sheets.grid import Tab, Value
    from mirsal_testing.simulators.sheets.workbook import Workbook

Json = dict[str, Any]

_ENTER = {"RAW": enter_raw, "USER_ENTERED": enter_typed}
_RENDER_OPTIONS = ("FORMATTED_VALUE", "UNFORMATTED_VALUE", "FORMULA")
_MOMENT_OPTIONS = ("SERIAL_NUMBER", "FORMATTED_STRING")
_MEMBERS = frozenset({"range", "majorDimension", "values"})


def choose(options: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    """An enum of the API; the first of `known` is what it is unless it is given."""
    given = options.get(name) or known[0]
    if given not in known:
        raise invalid(f"Invalid value at '{_snake(name)}' (TYPE_ENUM), \"{given}\"")
    return str(given)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def input_option(options: Mapping[str, Any]) -> str:
    given = options.get("valueInputOption")
    if not given or given == "INPUT_VALUE_OPTION_UNSPECIFIED":
        raise invalid("'valueInputOption' is required but not specified")
    return choose(options, "valueInputOption", ("RAW", "USER_ENTERED"))


@dataclass(frozen=True, slots=True)
class Sent:
    """Rows of entries, None where a cell is to stay as it is."""

    rows: list[list[Entry | None]]

    @property
    def width(self) -> int:
        return max((len(row) for row in self.rows), default=0)

    @property
    def cells(self) -> int:
        return sum(entry is not None for row in self.rows for entry in row)


def read_sent(body: Json, option: str) -> Sent:
    """Checks a ValueRange and interprets its values. Raises GoogleError 400."""
    for name in body:
        if name not in _MEMBERS:
            raise unknown_field(name)
    enter = _ENTER[option]
    values = body.get("values", [])
    if not isinstance(values, list) or not all(isinstance(row, list) for row in values):
        raise invalid(
            "Invalid value at 'data.values' (type.googleapis.com/google.protobuf.ListValue)"
        )
    rows: list[list[Entry | None]] = []
    for number, row in enumerate(values):
        entries: list[Entry | None] = []
        for place, value in enumerate(row):
            if isinstance(value, (list, dict)):
                kind = "list_value" if isinstance(value, list) else "struct_value"
                raise invalid(f"Invalid values[{number}][{place}]: {kind} {{}}")
            entries.append(None if value is None else enter(value))
        rows.append(entries)
    if choose(body, "majorDimension", ("ROWS", "COLUMNS")) == "COLUMNS":
        height = max((len(row) for row in rows), default=0)
        rows = [[row[at] if at < len(row) else None for row in rows] for at in range(height)]
    return Sent(rows)


@dataclass(frozen=True, slots=True)
class Write:
    """Values that were checked against their range, and have their place."""

    tab: Tab
    box: Box
    sent: Sent

    def apply(self) -> None:
        tab, top, left = self.tab, self.box.top, self.box.left
        for row, entries in enumerate(self.sent.rows, top):
            for column, entry in enumerate(entries, left):
                if entry is None:
                    continue
                if entry.value is None:
                    tab.remove(row, column)
                    continue
                tab.put(row, column, entry.value)
                if entry.number_format and tab.formats.of(row, column) is None:
                    tab.formats.set_cell(row, column, entry.number_format)

    def resource(self, spreadsheet_id: str, options: Mapping[str, Any]) -> Json:
        """UpdateValuesResponse."""
        answer: Json = {
            "spreadsheetId": spreadsheet_id,
            "updatedRange": self.box.text(self.tab.title),
        }
        if self.sent.cells:
            answer["updatedRows"] = len(self.sent.rows)
            answer["updatedColumns"] = self.sent.width
            answer["updatedCells"] = self.sent.cells
        if str(options.get("includeValuesInResponse", "false")).lower() == "true":
            shown = {
                "valueRenderOption": options.get("responseValueRenderOption"),
                "dateTimeRenderOption": options.get("responseDateTimeRenderOption"),
            }
            answer["updatedData"] = render(self.tab, self.box, shown)
        return answer


def plan_write(workbook: Workbook, range_text: str, body: Json, option: str) -> Write:
    """A write to a range, checked and not yet done. Raises GoogleError 400.

    A range of one cell is only where the values begin; a wider one bounds them.
    """
    tab, area = workbook.resolve(range_text)
    sent = read_sent(body, option)
    check_begin(tab, area)
    bottom, right = area.top + len(sent.rows), area.left + sent.width
    shown = area_text(tab, area)
    last_row = None if area.is_cell else area.bottom
    last_column = None if area.is_cell else area.right
    if last_row is not None and bottom > last_row:
        raise beyond_range(shown, "row", str(last_row + 1))
    if last_column is not None and right > last_column:
        raise beyond_range(shown, "column", column_name(last_column))
    box = Box(area.top, area.left, max(bottom, area.top + 1), max(right, area.left + 1))
    if box.bottom > tab.rows.count or box.right > tab.columns.count:
        raise beyond_grid(box.text(tab.title), tab.rows.count, tab.columns.count)
    return Write(tab, box, sent)


def check_begin(tab: Tab, area: Area) -> None:
    if area.top >= tab.rows.count or area.left >= tab.columns.count:
        raise beyond_grid(area_text(tab, area), tab.rows.count, tab.columns.count)


def area_text(tab: Tab, area: Area) -> str:
    """The range as it was asked for; its open ends are the grid's."""
    bottom = area.bottom if area.bottom is not None else max(tab.rows.count, area.top + 1)
    right = area.right if area.right is not None else max(tab.columns.count, area.left + 1)
    return Box(area.top, area.left, bottom, right).text(tab.title)


def read_range(workbook: Workbook, range_text: object, options: Mapping[str, Any]) -> Json:
    """A ValueRange with what stands there. Raises GoogleError 400."""
    tab, area = workbook.resolve(range_text)
    check_begin(tab, area)
    return render(tab, area.within(tab.rows.count, tab.columns.count), options)


def render(tab: Tab, box: Box, options: Mapping[str, Any]) -> Json:
    """Empty rows and cells at the end are left out, as Sheets does."""
    render_option = choose(options, "valueRenderOption", _RENDER_OPTIONS)
    moment_option = choose(options, "dateTimeRenderOption", _MOMENT_OPTIONS)
    dimension = choose(options, "majorDimension", ("ROWS", "COLUMNS"))
    top, left, right = box.top, box.left, box.right
    has_all = left == 0 and right > tab.last_column
    rows: list[list[object]] = []
    for row, cells in tab.read(box):
        if right - left == 1:
            columns: Collection[int] = (left,) if left in cells else ()
        else:
            columns = cells if has_all else [column for column in cells if left <= column < right]
        if not columns:
            continue
        while len(rows) < row - top:
            rows.append([])
        line: list[object] = [""] * (max(columns) + 1 - left)
        for column in columns:
            value = cells[column]
            # Most are texts, and those need nothing.
            line[column - left] = (
                value
                if isinstance(value, str)
                else render_cell(tab, row, column, value, render_option, moment_option)
            )
        rows.append(line)
    if dimension == "COLUMNS":
        rows = _turn(rows)
    answer: Json = {"range": box.text(tab.title), "majorDimension": dimension}
    if rows:
        answer["values"] = rows
    return answer


def render_cell(
    tab: Tab,
    row: int,
    column: int,
    value: Value,
    render_option: str = "FORMATTED_VALUE",
    moment_option: str = "SERIAL_NUMBER",
) -> object:
    if isinstance(value, str):
        return value
    if isinstance(value, Formula):
        if render_option == "FORMULA":
            return value.text
        value = compute(value, tab)
    if render_option == "FORMATTED_VALUE":
        return show(value, tab.formats.of(row, column))
    number_format = tab.formats.of(row, column) if moment_option == "FORMATTED_STRING" else None
    if number_format is not None and number_format.type in MOMENT_TYPES:
        return show(value, number_format)
    return value


def _turn(rows: list[list[object]]) -> list[list[object]]:
    columns: list[list[object]] = []
    for row, line in enumerate(rows):
        for column, value in enumerate(line):
            if value == "":
                continue
            columns.extend([] for _ in range(column + 1 - len(columns)))
            columns[column].extend("" for _ in range(row - len(columns[column])))
            columns[column].append(value)
    return columns


def check_object(body: object) -> Json:
    """Raises GoogleError 400 where the JSON is no object."""
    if not isinstance(body, dict):
        raise GoogleError(
            400, 'Invalid JSON payload received. Unknown name "": Root element must be a message.'
        )
    return body
