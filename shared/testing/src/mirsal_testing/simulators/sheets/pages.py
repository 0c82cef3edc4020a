"""The pages of the Sheets simulator as HTML text: all spreadsheets, and a tab with its rows.

The interface reads from left to right; every cell finds its own direction, and a tab whose
header is Arabic is laid out from right to left, as a person would have set it.
"""

from __future__ import annotations

import unicodedata
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from mirsal_testing.simulators.sheets.a1 import Box, column_name
from mirsal_testing.simulators.sheets.value_ranges import render_cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirsal_testing.simulators.sheets.grid import Tab, Value
    from mirsal_testing.simulators.sheets.workbook import Workbook

STYLE = files(__package__).joinpath("style.css").read_text(encoding="utf-8")
REFRESH_SECONDS = 5
PAGE_ROWS = 500
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def _layout(title: str, content: str, *, follows: bool) -> str:
    refresh = f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">' if follows else ""
    return (
        "<!doctype html>\n"
        '<html lang="en" dir="ltr"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="stylesheet" href="/style.css">{refresh}</head>'
        '<body><header class="bar"><a class="brand" href="/">Mirsal sheets</a></header>'
        f"<main>{content}</main></body></html>"
    )


def render_list(books: Sequence[Workbook]) -> str:
    rows = "".join(_book(book) for book in books)
    listed = (
        f'<ol class="books card">{rows}</ol>'
        if rows
        else '<p class="empty card">No spreadsheet yet.</p>'
    )
    count = f"{len(books)} spreadsheet{'' if len(books) == 1 else 's'}"
    return _layout("Spreadsheets", f'<p class="note">{count}</p>{listed}', follows=True)


def _book(book: Workbook) -> str:
    tabs = " · ".join(
        f'<a href="{_tab_url(book, tab)}" dir="auto">{escape(tab.title)}</a> '
        f'<span class="soft">{_row_count(tab)}</span>'
        for tab in book.tabs
    )
    state = "deleted" if book.deleted else "" if book.access == "writer" else f"{book.access} only"
    badge = f' <span class="badge">{escape(state)}</span>' if state else ""
    return (
        f'<li><span class="title" dir="auto">{escape(book.title)}</span>{badge}'
        f'<span class="soft" dir="ltr">{escape(book.spreadsheet_id)} · '
        f"{book.cell_count:,} cells</span><span>{tabs}</span></li>"
    )


def _row_count(tab: Tab) -> str:
    rows = tab.last_row + 1
    return f"{rows:,} row{'' if rows == 1 else 's'}"


def _tab_url(book: Workbook, tab: Tab, page: int | None = None) -> str:
    query = {"tab": tab.title} | ({"page": str(page)} if page else {})
    return escape(f"/spreadsheets/{quote(book.spreadsheet_id)}?{urlencode(query)}")


def _tab_link(book: Workbook, tab: Tab, *, current: bool) -> str:
    mark = ' aria-current="page"' if current else ""
    return f'<a href="{_tab_url(book, tab)}" dir="auto"{mark}>{escape(tab.title)}</a>'


def render_tab(book: Workbook, tab: Tab, number: int | None) -> str:
    """Page `number` from 1; None are the newest rows, which follow what is written."""
    top = max(0, tab.last_row + 1 - PAGE_ROWS)
    if number is not None:
        top = min((number - 1) * PAGE_ROWS, top)
    links = "".join(_tab_link(book, each, current=each is tab) for each in book.tabs)
    content = (
        f'<h1 dir="auto">{escape(book.title)}</h1><nav class="tabs" aria-label="Tabs">{links}</nav>'
        f'<p class="note">{_row_count(tab)} of {tab.rows.count:,} used</p>'
        f"{_table(tab, top)}{_pager(book, tab, top)}"
    )
    return _layout(f"{tab.title} - {book.title}", content, follows=number is None)


def _table(tab: Tab, top: int) -> str:
    if tab.last_row < 0:
        return '<p class="empty card">This tab is empty.</p>'
    columns = [c for c in range(tab.last_column + 1) if c not in tab.columns.hidden]
    direction = "rtl" if _reads_rtl(tab) else "ltr"
    head = "".join(f'<th scope="col">{column_name(column)}</th>' for column in columns)
    rows = dict(tab.read(Box(0, 0, 1, tab.columns.count))) if top else {}
    rows.update(tab.read(Box(top, 0, top + PAGE_ROWS, tab.columns.count)))
    lines = "".join(
        _line(tab, row, columns, cells) for row, cells in rows.items() if row not in tab.rows.hidden
    )
    return (
        f'<div class="card grid"><table dir="{direction}"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _reads_rtl(tab: Tab) -> bool:
    """As the tab says, else as the first letter of its first row."""
    if "rightToLeft" in tab.properties:
        return bool(tab.properties["rightToLeft"])
    for _, cells in tab.read(Box(0, 0, 1, tab.columns.count)):
        for letter in "".join(str(cells[column]) for column in sorted(cells)):
            direction = unicodedata.bidirectional(letter)
            if direction in ("L", "R", "AL"):
                return direction != "L"
    return False


def _line(tab: Tab, row: int, columns: list[int], cells: dict[int, Value]) -> str:
    shown = "".join(_cell(tab, row, column, cells.get(column)) for column in columns)
    return f'<tr><th scope="row">{row + 1}</th>{shown}</tr>'


def _cell(tab: Tab, row: int, column: int, value: Value | None) -> str:
    if value is None:
        return "<td></td>"
    kind = "" if isinstance(value, str) else ' class="number"'
    return f'<td dir="auto"{kind}>{escape(str(render_cell(tab, row, column, value)))}</td>'


def _pager(book: Workbook, tab: Tab, top: int) -> str:
    def link(number: int, label: str) -> str:
        return f'<a href="{_tab_url(book, tab, number)}">{label}</a>'

    earlier = link(-(-top // PAGE_ROWS), "Earlier rows") if top else ""
    has_later = top + PAGE_ROWS <= tab.last_row
    later = link(top // PAGE_ROWS + 2, "Later rows") if has_later else ""
    if not earlier and not later:
        return ""
    return f'<nav class="pages" aria-label="Pages"><span>{earlier}</span><span>{later}</span></nav>'
