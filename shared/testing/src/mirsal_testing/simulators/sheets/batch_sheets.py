"""Requests of a batchUpdate about tabs, and about their rows and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mirsal_testing.simulators.sheets.errors import invalid, unknown_field
from mirsal_testing.simulators.sheets.field_mask import parse_mask
from mirsal_testing.simulators.sheets.grid import DEFAULT_COLUMNS, DEFAULT_ROWS
from mirsal_testing.simulators.sheets.resources import show_properties
from mirsal_testing.simulators.sheets.workbook import check_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirsal_testing.simulators.sheets.field_mask import Tree
    from mirsal_testing.simulators.sheets.grid import Dimension, Tab
    from mirsal_testing.simulators.sheets.workbook import Workbook

Json = dict[str, Any]

_KEPT = frozenset({"hidden", "tabColor", "tabColorStyle", "rightToLeft"})
_KEPT_GRID = frozenset(
    {
        "frozenRowCount", "frozenColumnCount", "hideGridlines", "rowGroupControlAfter",
        "columnGroupControlAfter",
    }
)  # fmt: skip
_SIZES = ("rowCount", "columnCount")
_PROPERTIES = _KEPT | {"sheetId", "title", "index", "sheetType", "gridProperties"}


def object_of(arguments: Json, name: str) -> Json:
    found = arguments.get(name, {})
    if not isinstance(found, dict):
        raise invalid(f"Invalid value at '{name}'")
    return found


def whole_number(arguments: Json, name: str, default: int) -> int:
    found = arguments.get(name, default)
    if isinstance(found, bool) or not isinstance(found, int):
        raise invalid(f"Invalid value at '{name}' (TYPE_INT32), {found!r}")
    return found


def mask_of(arguments: Json) -> Tree:
    """Raises GoogleError where none is given: without one nothing would be changed."""
    mask = arguments.get("fields")
    if not isinstance(mask, str) or not mask:
        raise invalid(
            "At least one field must be listed in 'fields'. (Use '*' to indicate all fields.)"
        )
    return parse_mask(mask)


def add_sheet(workbook: Workbook, arguments: Json) -> Json:
    properties = object_of(arguments, "properties")
    for name in properties:
        if name not in _PROPERTIES:
            raise unknown_field(name, "properties")
    grid = object_of(properties, "gridProperties")
    title = properties.get("title")
    if title is None:
        title = next(
            name
            for number in range(len(workbook.tabs) + 1, 10_000)
            if workbook.find_tab(name := f"Sheet{number}") is None
        )
    tab = workbook.add_tab(
        title,
        rows=whole_number(grid, "rowCount", DEFAULT_ROWS),
        columns=whole_number(grid, "columnCount", DEFAULT_COLUMNS),
        sheet_id=properties.get("sheetId"),
        index=properties.get("index"),
    )
    tab.properties.update((name, properties[name]) for name in _KEPT & properties.keys())
    tab.grid_properties.update((name, grid[name]) for name in _KEPT_GRID & grid.keys())
    return {"addSheet": {"properties": show_properties(tab, workbook.tabs.index(tab))}}


def delete_sheet(workbook: Workbook, arguments: Json) -> Json:
    workbook.delete_tab(arguments.get("sheetId", 0))
    return {}


def update_sheet_properties(workbook: Workbook, arguments: Json) -> Json:
    properties = object_of(arguments, "properties")
    mask = mask_of(arguments)
    tab = workbook.change(properties.get("sheetId", 0))
    names = set(properties) - {"sheetId"} if "*" in mask else set(mask)
    for name in names:
        if name not in _PROPERTIES:
            raise invalid(f"Invalid field mask: {arguments['fields']}")
    if "title" in names:
        tab.title = workbook.check_title(properties.get("title"), tab)
    if "index" in names:
        place = whole_number(properties, "index", 0)
        workbook.tabs.remove(tab)
        workbook.tabs.insert(place, tab)
    for name in _KEPT & names:
        _set_or_remove(tab.properties, properties, name)
    if "gridProperties" in names:
        grid = object_of(properties, "gridProperties")
        inner = mask.get("gridProperties", {})
        _update_grid(workbook, tab, grid, set(inner) if inner and "*" not in inner else set(grid))
    return {}


def _set_or_remove(kept: dict[str, object], sent: Json, name: str) -> None:
    if sent.get(name):
        kept[name] = sent[name]
    else:
        kept.pop(name, None)


def _update_grid(workbook: Workbook, tab: Tab, grid: Json, names: set[str]) -> None:
    for name in names - _KEPT_GRID - set(_SIZES):
        raise invalid(f"Invalid field: gridProperties.{name}")
    for name in _KEPT_GRID & names:
        _set_or_remove(tab.grid_properties, grid, name)
    # Google, too, grows the rows first and the columns then, and checks the limit after each.
    for name, dimension in (("rowCount", tab.rows), ("columnCount", tab.columns)):
        if name not in names:
            continue
        wanted = grid.get(name, 0)
        rows = wanted if name == "rowCount" else tab.rows.count
        columns = wanted if name == "columnCount" else tab.columns.count
        check_size(rows, columns)
        workbook.check_growth(rows * columns - tab.cell_count)
        if wanted > dimension.count:
            _insert(tab, dimension, dimension.count, wanted - dimension.count)
        elif wanted < dimension.count:
            _delete(tab, dimension, wanted, dimension.count - wanted)


def update_spreadsheet_properties(workbook: Workbook, arguments: Json) -> Json:
    properties = object_of(arguments, "properties")
    mask = mask_of(arguments)
    names = set(properties) if "*" in mask else set(mask)
    if "title" in names:
        title = properties.get("title")
        if not isinstance(title, str) or not title:
            raise invalid("Spreadsheet title cannot be empty")
        workbook.title = title
    if "locale" in names:
        workbook.locale = str(properties.get("locale", ""))
    if "timeZone" in names:
        workbook.time_zone = str(properties.get("timeZone", ""))
    return {}


def append_dimension(workbook: Workbook, arguments: Json) -> Json:
    tab = _grid_of(workbook, arguments.get("sheetId", 0))
    dimension = _dimension(tab, arguments.get("dimension"))
    length = whole_number(arguments, "length", 0)
    if length < 1:
        raise invalid(f"length[{length}] must be greater than 0")
    _grow(workbook, tab, dimension, dimension.count, length)
    return {}


def insert_dimension(workbook: Workbook, arguments: Json) -> Json:
    tab, dimension, start, end = _span(workbook, arguments)
    if start > dimension.count:
        raise invalid(
            f"range.startIndex[{start}] must be less than the grid size ({dimension.count})"
        )
    _grow(workbook, tab, dimension, start, end - start)
    return {}


def delete_dimension(workbook: Workbook, arguments: Json) -> Json:
    tab, dimension, start, end = _span(workbook, arguments)
    name = "row" if dimension is tab.rows else "column"
    if start >= dimension.count:
        raise invalid(
            f"Cannot delete a {name} that doesn't exist. Tried to delete {name} index {start} "
            f"but there are only {dimension.count} {name}s."
        )
    end = min(end, dimension.count)
    if end - start == dimension.count:
        raise invalid(f"You can't delete all the {name}s on the sheet.")
    _delete(tab, dimension, start, end - start)
    return {}


def update_dimension_properties(workbook: Workbook, arguments: Json) -> Json:
    _, dimension, start, end = _span(workbook, arguments)
    properties = object_of(arguments, "properties")
    mask = mask_of(arguments)
    names = {"hiddenByUser", "pixelSize"} if "*" in mask else set(mask)
    for name in names - {"hiddenByUser", "pixelSize", "developerMetadata"}:
        raise invalid(f"Invalid field: properties.{name}")
    end = min(end, dimension.count)
    if "hiddenByUser" in names:
        if properties.get("hiddenByUser"):
            dimension.hidden.update(range(start, end))
        else:
            dimension.hidden.difference_update(range(start, end))
    if "pixelSize" in names:
        size = whole_number(properties, "pixelSize", 0)
        dimension.sizes.update(dict.fromkeys(range(start, end), size))
    return {}


def _grid_of(workbook: Workbook, sheet_id: object) -> Tab:
    if not any(tab.sheet_id == sheet_id for tab in workbook.tabs):
        raise invalid(f"No grid with id: {sheet_id}")
    return workbook.change(sheet_id)


def _dimension(tab: Tab, name: object) -> Dimension:
    if name not in ("ROWS", "COLUMNS"):
        raise invalid("No dimension set.")
    return tab.rows if name == "ROWS" else tab.columns


def _span(workbook: Workbook, arguments: Json) -> tuple[Tab, Dimension, int, int]:
    """A DimensionRange; without an end it goes to the end."""
    span = object_of(arguments, "range")
    tab = _grid_of(workbook, span.get("sheetId", 0))
    dimension = _dimension(tab, span.get("dimension"))
    start = whole_number(span, "startIndex", 0)
    end = whole_number(span, "endIndex", dimension.count)
    if start < 0 or end <= start:
        raise invalid(f"range.endIndex[{end}] must be greater than range.startIndex[{start}]")
    return tab, dimension, start, end


def _grow(workbook: Workbook, tab: Tab, dimension: Dimension, at: int, number: int) -> None:
    is_rows = dimension is tab.rows
    other = tab.columns.count if is_rows else tab.rows.count
    check_size(tab.rows.count, tab.columns.count + (0 if is_rows else number))
    workbook.check_growth(number * other)
    _insert(tab, dimension, at, number)


def _insert(tab: Tab, dimension: Dimension, at: int, number: int) -> None:
    change: Callable[[int, int], None]
    change = tab.insert_rows if dimension is tab.rows else tab.insert_columns
    change(at, number)


def _delete(tab: Tab, dimension: Dimension, at: int, number: int) -> None:
    change: Callable[[int, int], None]
    change = tab.delete_rows if dimension is tab.rows else tab.delete_columns
    change(at, number)
