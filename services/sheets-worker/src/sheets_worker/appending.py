"""Appends a group of rows: those that are not in the sheet yet, in one request."""

from collections.abc import Sequence
from typing import Any

from gspread import HTTPClient
from mirsal_runtime.failures import AttemptFailure, OutcomeUnknown, PermanentError, RetryableError

from sheets_worker.cell_ledger import full
from sheets_worker.errors import Code
from sheets_worker.fallback import CELLS_OF_A_WORKBOOK
from sheets_worker.header import Header, arrange
from sheets_worker.jobs import Job, traces_of
from sheets_worker.ranges import column_letters, span_of
from sheets_worker.rows import Column, Placed
from sheets_worker.store import Written
from sheets_worker.tab import Tab, row_range


async def append_rows(tab: Tab, jobs: Sequence[Job]) -> None:
    """Write the rows of the jobs, and answer each. Raises what keeps all of them from it."""
    state = await tab.settle()
    waiting = await answer_known(tab, jobs)
    if not waiting:
        return
    header = await tab.prepare(state, columns_of(waiting), waiting[0].workspace)
    await append_under(tab, header, waiting)


async def append_under(tab: Tab, header: Header, jobs: Sequence[Job]) -> None:
    """Append rows whose columns the header has."""
    room = await tab.make_room(len(jobs), jobs[0].workspace)
    for job in jobs[room:]:
        job.fail(full(CELLS_OF_A_WORKBOOK))
    jobs = jobs[:room]
    await tab.calls.reserve("write")
    claimed = [job for job in jobs if await job.claim()]
    if not claimed:
        return
    keys = [job.key for job in claimed]
    begun = await tab.begin(keys, [job.workspace for job in claimed], claimed[0].workspace)
    # Another process may have written some before the note was ours.
    waiting = await answer_known(tab, claimed)
    if not waiting:
        await tab.give_up(begun)
        return
    rows = [arrange(header, job.cells, job.key) for job in waiting]
    anchor = tab.range(f"A1:{column_letters(header.width - 1)}1")

    def append(client: HTTPClient) -> int:
        options = {"valueInputOption": "RAW", "insertDataOption": "INSERT_ROWS"}
        answer = client.values_append(
            tab.name.spreadsheet_id, anchor, dict(options), {"values": rows}
        )
        return _first_row(answer, len(rows))

    try:
        first = await tab.write(begun, append, traces=traces_of(waiting))
    except OutcomeUnknown:
        for job in waiting:
            job.uncertain = True
        raise
    except PermanentError as refusal:
        raise await _refused(tab, refusal, waiting[0].workspace) from None
    placed = [
        Placed("sheet", row_range(tab, header, first + offset), first + offset)
        for offset in range(len(rows))
    ]
    written = [Written(job.row, place) for job, place in zip(waiting, placed, strict=True)]
    await tab.end(begun, written=written, last_row=first + len(rows) - 1)
    for job, place in zip(waiting, placed, strict=True):
        job.succeed(place)


async def _refused(tab: Tab, refusal: PermanentError, workspace: str) -> AttemptFailure:
    """What a refusal of an append means for its rows."""
    if refusal.code == Code.FULL:
        await tab.ledger.note_full(tab.name, workspace)
    if refusal.code == Code.NO_TAB:
        # A person has removed the tab, or columns of it, since its header was read.
        return RetryableError(Code.UNAVAILABLE, refusal.message, details=refusal.details)
    return refusal


async def answer_known(tab: Tab, jobs: Sequence[Job]) -> list[Job]:
    """Answer the jobs whose row is in its place already; the others."""
    known = await tab.store.find([job.key for job in jobs])
    waiting = []
    for job in jobs:
        found = known.get(job.key)
        job.uncertain = False
        if found is None or (job.returns and not found.in_sheet):
            waiting.append(job)
        else:
            job.succeed(found.placed)
    return waiting


def columns_of(jobs: Sequence[Job]) -> list[Column]:
    """All columns of the jobs' rows, each once; a type wins over none."""
    columns: dict[str, Column] = {}
    for job in jobs:
        for column in job.columns:
            name = column.name.strip()
            known = columns.get(name)
            if known is None or known.type is None:
                columns[name] = Column(name, column.type)
    return list(columns.values())


def _first_row(answer: Any, count: int) -> int:
    updates = answer.get("updates") if isinstance(answer, dict) else None
    written = updates.get("updatedRange") if isinstance(updates, dict) else None
    span = span_of(written) if isinstance(written, str) else None
    if span is None or span.last - span.first + 1 != count:
        raise OutcomeUnknown(Code.NO_ANSWER, "Google's answer does not say what was written")
    return span.first
