"""Updates and upserts by a key column: one request for a group's changes, one for its new rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mirsal_runtime.failures import PermanentError

from sheets_worker.appending import answer_known, append_under, columns_of
from sheets_worker.cells import RawCell
from sheets_worker.errors import Code
from sheets_worker.header import Header
from sheets_worker.jobs import Job, traces_of
from sheets_worker.params import SheetsResult
from sheets_worker.ranges import column_letters
from sheets_worker.rows import Placed
from sheets_worker.store import Written
from sheets_worker.tab import UPDATE, Tab, row_range


@dataclass
class Changes:
    """What a group comes to, in the order of its jobs.

    `joined` are jobs whose row another job of
    the group adds.
    """

    changed: list[tuple[Job, int]] = field(default_factory=list)
    added: list[Job] = field(default_factory=list)
    joined: list[tuple[Job, Job]] = field(default_factory=list)
    missed: list[Job] = field(default_factory=list)


async def change_rows(tab: Tab, jobs: Sequence[Job]) -> None:
    """Change the rows of the jobs, add those that are not there, and answer each job."""
    state = await tab.settle()
    waiting = await answer_known(tab, jobs)
    if not waiting:
        return
    if any(job.kind[0] == "upsert" for job in waiting):
        header = await tab.prepare(state, columns_of(waiting), waiting[0].workspace)
    else:
        header = await _existing(tab, waiting)
    key_column = waiting[0].kind[1]
    rows = await find_by_key(tab, header, key_column)
    changes = plan_changes(key_column, rows, [job for job in waiting if not job.over])
    await _change(tab, header, changes)
    for job in changes.missed:
        job.succeed(SheetsResult(operation="update", matched=0))
    if changes.added:
        await append_under(tab, header, changes.added)
    for job, first in changes.joined:
        if first.answer.done() and first.answer.exception() is None:
            placed = first.answer.result()
            if isinstance(placed, Placed):
                await tab.store.remember(tab.name, [Written(job.row, placed)])
                job.succeed(placed)


def plan_changes(key_column: str, rows: Mapping[str, int], jobs: Sequence[Job]) -> Changes:
    """Which rows change and which are new. `rows`: the row of each key there is. Pure."""
    changes = Changes()
    new: dict[str, Job] = {}
    for job in jobs:
        key = comparable(job.cells[key_column])
        row = rows.get(key)
        if row is not None:
            changes.changed.append((job, row))
        elif key in new:
            new[key].cells = {**new[key].cells, **job.cells}
            changes.joined.append((job, new[key]))
        elif job.kind[0] == "upsert":
            new[key] = job
            changes.added.append(job)
        else:
            changes.missed.append(job)
    return changes


def cells_of(header: Header, changed: Sequence[tuple[Job, int]]) -> dict[tuple[int, int], RawCell]:
    """The cells of jobs that change rows; of several jobs for one key the later ones win. Pure."""
    cells: dict[tuple[int, int], RawCell] = {}
    for job, row in changed:
        for column, cell in job.cells.items():
            place = header.place(column)
            if place is not None:
                cells[row, place] = cell
    return cells


async def find_by_key(tab: Tab, header: Header, key_column: str) -> dict[str, int]:
    """The first row of each value of a column."""
    place = header.place(key_column)
    if place is None:
        raise PermanentError(
            "no_such_column", f"the first row of the tab has no column {key_column!r}"
        )
    letters = column_letters(place)
    try:
        (column,) = await tab.read_values(tab.range(f"{letters}2:{letters}"), raw=True)
    except PermanentError as error:
        if error.code != Code.NO_TAB:
            raise
        # The tab has no second row.
        return {}
    rows: dict[str, int] = {}
    for offset, cells in enumerate(column):
        if cells and cells[0] != "":
            rows.setdefault(comparable(cells[0]), offset + 2)
    return rows


def comparable(cell: object) -> str:
    """A cell as it is compared with another: 7, 7.0 and "7" are the same."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return str(cell).strip()


async def _existing(tab: Tab, jobs: Sequence[Job]) -> Header:
    header = await tab.read_header()
    if header is None:
        raise PermanentError(Code.NO_TAB, f"there is no tab {tab.name.sheet!r}")
    for job in jobs:
        unknown = [name for name in job.cells if header.place(name) is None]
        if unknown:
            job.fail(
                PermanentError(
                    "no_such_column", f"the first row has no column {', '.join(unknown)}"
                )
            )
    return header


async def _change(tab: Tab, header: Header, changes: Changes) -> None:
    changed = [(job, row) for job, row in changes.changed if not job.over]
    if not changed:
        return
    await tab.calls.reserve("write")
    claimed = [(job, row) for job, row in changed if await job.claim()]
    if not claimed:
        return
    workspace = claimed[0][0].workspace
    begun = await tab.begin([UPDATE], [workspace], workspace)
    body = {"valueInputOption": "RAW", "data": _ranges(tab, cells_of(header, claimed))}

    def update(client: Any) -> None:
        client.values_batch_update(tab.name.spreadsheet_id, body)

    await tab.write(begun, update, traces=traces_of([job for job, _ in claimed]))
    written = [
        Written(job.row, Placed("sheet", row_range(tab, header, row), row)) for job, row in claimed
    ]
    await tab.end(begun, written=written)
    for job, row in claimed:
        job.succeed(Placed("sheet", row_range(tab, header, row), row))


def _ranges(tab: Tab, cells_of_rows: Mapping[tuple[int, int], RawCell]) -> list[dict[str, Any]]:
    """The cells as ranges, neighbours in a row together."""
    runs: list[tuple[int, int, list[RawCell]]] = []
    for row, place in sorted(cells_of_rows):
        cell = cells_of_rows[row, place]
        if runs and runs[-1][0] == row and runs[-1][1] + len(runs[-1][2]) == place:
            runs[-1][2].append(cell)
        else:
            runs.append((row, place, [cell]))
    return [
        {
            "range": tab.range(
                f"{column_letters(start)}{row}:{column_letters(start + len(cells) - 1)}{row}"
            ),
            "values": [cells],
        }
        for row, start, cells in runs
    ]
