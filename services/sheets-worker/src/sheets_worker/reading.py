"""What reads a tab, empties it or makes it: look-ups, ranges, clear and create."""

from collections.abc import Sequence
from itertools import islice
from typing import Any
from urllib.parse import quote

from gspread import HTTPClient
from mirsal_runtime.failures import PermanentError

from sheets_worker.appending import answer_known
from sheets_worker.changing import comparable
from sheets_worker.errors import Code
from sheets_worker.header import Header
from sheets_worker.jobs import Job, traces_of
from sheets_worker.params import SheetsParams, SheetsResult
from sheets_worker.ranges import (
    check_cells,
    column_letters,
    columns_of_range,
    first_row,
    spans_of,
)
from sheets_worker.rows import ROW_KEY_COLUMN, Column, Placed
from sheets_worker.store import Written
from sheets_worker.tab import CLEAR, Tab

ALL_ROWS = "2:10000000"
# Of the ranges that one address names: Google refuses longer addresses.
MOST_LENGTH = 4_000


async def look_up(tab: Tab, jobs: Sequence[Job]) -> None:
    """Find the rows that hold a value, for many jobs with the same key column at once."""
    header = await _header(tab)
    key_column = jobs[0].kind[1]
    place = header.place(key_column)
    if place is None:
        raise PermanentError(
            "no_such_column", f"the first row of the tab has no column {key_column!r}"
        )
    letters = column_letters(place)
    (column,) = await _read(tab, f"{letters}2:{letters}", traces_of(jobs))
    found: dict[str, list[int]] = {}
    for offset, cells in enumerate(column):
        if cells and cells[0] != "":
            found.setdefault(comparable(cells[0]), []).append(offset + 2)
    numbers = [found.get(comparable(params_of(job).key_value), []) for job in jobs]
    wanted = sorted(
        {
            number
            for job, each in zip(jobs, numbers, strict=True)
            for number in each[: params_of(job).limit]
        }
    )
    last = column_letters(header.width - 1)
    most = max(1, MOST_LENGTH // len(quote(f"&ranges={tab.range(f'A{ALL_ROWS}{last}')}")))
    spans = spans_of(wanted, most)
    ranges = [tab.range(f"A{span.first}:{last}{span.last}") for span in spans]
    read = await tab.read_values(*ranges, raw=True, traces=traces_of(jobs)) if ranges else []
    cells_of = {
        span.first + offset: cells
        for span, block in zip(spans, read, strict=True)
        for offset, cells in enumerate(block)
    }
    rows = {
        number: as_row(header, cells_of.get(number, ()), range(header.width)) for number in wanted
    }
    for job, each in zip(jobs, numbers, strict=True):
        if await job.claim():
            job.succeed(
                SheetsResult(
                    operation="lookup",
                    matched=len(each),
                    row=each[0] if each else None,
                    rows=tuple(rows[number] for number in each[: params_of(job).limit]),
                )
            )


async def read_rows(tab: Tab, jobs: Sequence[Job]) -> None:
    """Read a range, or all rows, up to the job's limit."""
    (job,) = jobs
    params = params_of(job)
    header = await _header(tab)
    cells = check_cells(params.range) if params.range else f"2:{params.limit + 1}"
    (rows,) = await _read(tab, cells, traces_of(jobs))
    places = columns_of_range(cells, header.width)
    if not params.range or first_row(cells) > 1:
        rows = list(islice(rows, params.limit))
    else:
        rows = list(islice(rows, 1, params.limit + 1))
    if await job.claim():
        job.succeed(
            SheetsResult(
                operation="read",
                range=tab.range(cells),
                rows=tuple(as_row(header, row, places) for row in rows),
            )
        )


async def clear_cells(tab: Tab, jobs: Sequence[Job]) -> None:
    """Empty a range, or all rows below the header; once, however often it is asked."""
    (job,) = jobs
    params = params_of(job)
    await tab.settle()
    if not await answer_known(tab, jobs):
        return
    cells = check_cells(params.range) if params.range else ALL_ROWS
    target = tab.range(cells)
    await tab.calls.reserve("write")
    if not await job.claim():
        return
    begun = await tab.begin([CLEAR + cells], [job.workspace], job.workspace)

    def clear(client: HTTPClient) -> None:
        client.values_clear(tab.name.spreadsheet_id, target)

    await tab.write(begun, clear, traces=traces_of([job]))
    placed = Placed("sheet", target)
    await tab.end(begun, written=[Written(job.row, placed)], last_row=None if params.range else 1)
    job.succeed(placed)


async def create_tab(tab: Tab, jobs: Sequence[Job]) -> None:
    """Make the tab, or the columns that it lacks."""
    (job,) = jobs
    params = params_of(job)
    columns = [Column(name.strip(), params.types.get(name)) for name in params.columns]
    state = await tab.settle()
    if not await job.claim():
        return
    header = await tab.prepare(state, columns, job.workspace)
    job.succeed(
        SheetsResult(
            operation="create_tab", range=tab.range(f"A1:{column_letters(header.width - 1)}1")
        )
    )


def as_row(header: Header, cells: Sequence[Any], places: Sequence[int]) -> dict[str, Any]:
    """A row's cells by the names of the columns at these places, those without one by their
    letters. Cells that Google left out, as they are empty, are there if their column has a name."""
    row: dict[str, Any] = {}
    for offset, place in enumerate(places):
        cell = cells[offset] if offset < len(cells) else ""
        name = header.names[place] if place < header.width else ""
        if name != ROW_KEY_COLUMN and (name or cell != ""):
            row[name or column_letters(place)] = cell
    return row


def params_of(job: Job) -> SheetsParams:
    """The config of a job that has one."""
    if job.params is None:
        raise TypeError("a row that comes back from BigQuery has no config")
    return job.params


async def _header(tab: Tab) -> Header:
    header = await tab.read_header()
    if header is None:
        raise PermanentError(Code.NO_TAB, f"there is no tab {tab.name.sheet!r}")
    return header


async def _read(tab: Tab, cells: str, traces: Sequence[str]) -> list[list[list[Any]]]:
    """The rows of a range; none where the tab ends before it."""
    try:
        return await tab.read_values(tab.range(cells), raw=True, traces=traces)
    except PermanentError as error:
        if error.code != Code.NO_TAB:
            raise
        return [[]]
