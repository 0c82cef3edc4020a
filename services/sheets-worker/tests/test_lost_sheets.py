"""Rows of which nobody can tell whether a sheet that is gone, or silent, has them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mirsal_testing.commands import next_attempt
from mirsal_testing.sheet_world import SPREADSHEET, SheetWorld, append_row
from sheets_worker.backfill import make_job

if TYPE_CHECKING:
    import asyncpg
    import pytest
    from sheets_worker.jobs import Job
    from sheets_worker.rows import Row


async def note_write(database: asyncpg.Connection[asyncpg.Record], key: str) -> None:
    """A write of this row that another process has just begun, and whose end nobody saw."""
    await database.execute(
        "INSERT INTO tabs (spreadsheet_id, sheet, workspace, write_id, write_began_at, write_keys,"
        " write_workspaces) VALUES ($1, 'leads', 'w', gen_random_uuid(), now(), ARRAY[$2], '{w}')",
        SPREADSHEET,
        key,
    )


async def test_a_row_that_may_be_in_a_lost_sheet_waits_for_a_person(
    world: SheetWorld, database: asyncpg.Connection[asyncpg.Record]
) -> None:
    """Nobody will ever be able to look for it: it must neither be doubled nor wait for ever."""
    command = append_row(1, onUnavailable="fallback")
    await note_write(database, command.execution_id)
    await world.sheets.delete_spreadsheet(SPREADSHEET)
    status = await world.fail(command)
    assert (status.kind, status.error.code) == ("action_required", "sheets_not_found")
    await world.sheets.delete_spreadsheet(SPREADSHEET, deleted=False)
    (output,) = await world.succeed(next_attempt(command))
    assert output["place"] == "sheet"


async def test_a_row_that_may_be_in_the_sheet_uses_up_no_retries(
    world: SheetWorld, database: asyncpg.Connection[asyncpg.Record]
) -> None:
    command = append_row(1).model_copy(update={"timeout_seconds": 1.0})
    await note_write(database, command.execution_id)
    status = await world.fail(command)
    assert (status.kind, status.error.code) == ("throttled", "sheets_no_answer")
    await asyncio.sleep(2)
    (output,) = await world.succeed(
        next_attempt(command).model_copy(update={"timeout_seconds": 20.0})
    )
    assert output["place"] == "sheet"


async def test_a_fault_of_ours_does_not_end_the_way_back(
    world: SheetWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: list[str] = []

    def break_once(row: Row) -> Job:
        if not faults:
            faults.append(row.key)
            raise ZeroDivisionError
        return make_job(row)

    monkeypatch.setattr("sheets_worker.backfill.make_job", break_once)
    await world.succeed(append_row(0))
    await world.sheets.delete_spreadsheet(SPREADSHEET)
    command = append_row(1, onUnavailable="fallback")
    await world.succeed(command)
    await world.sheets.delete_spreadsheet(SPREADSHEET, deleted=False)
    await world.wait_for_rows(command)
    assert faults
