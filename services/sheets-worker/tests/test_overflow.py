"""Rows that their sheet does not take: each in exactly one place, and said where."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from mirsal_contracts.statuses import NodeFailed, NodeSucceeded
from mirsal_testing.commands import next_attempt
from mirsal_testing.sheet_world import (
    SPREADSHEET,
    WAIT_SECONDS,
    SheetWorld,
    append_row,
    fill_workbook,
)
from mirsal_testing.worker_rig import WorkerRig
from sheets_worker.bigquery.names import name_table
from sheets_worker.main import connector
from sheets_worker.rows import TabName

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg
    import pytest
    from mirsal_testing.simulators.sheets import SheetsSimulator

TAB = TabName(SPREADSHEET, "Leads")
INSERT = {"operation": "tabledata.insertAll"}
AWAY = {"match": {"call": ["read", "write"]}, "action": {"error": {"kind": "unavailable"}}}


async def test_crossing_ten_million_cells_loses_and_doubles_nothing(
    world: SheetWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_workbook(world.google, free=900)
    commands = [append_row(number, backfill=False) for number in range(600)]
    outputs = []
    for start in range(0, 600, 100):
        outputs += await world.succeed(*commands[start : start + 100])
    in_sheet, elsewhere = await world.in_sheet(), await world.bigquery_keys()
    wanted = [command.execution_id for command in commands]
    assert sorted([*in_sheet, *elsewhere]) == sorted(wanted)
    assert (len(in_sheet), len(elsewhere)) == (300, 300)
    said = {output["rowKey"]: output for output in outputs}
    assert all(said[key]["place"] == "sheet" for key in in_sheet)
    assert all(said[key]["reason"] == "sheets_full" for key in elsewhere)
    assert all(said[key]["table"].endswith(name_table(TAB)) for key in elsewhere)
    # The ledger has known it: Google never had to refuse.
    assert {call.status for call in world.google.calls} == {200}


async def test_crossing_with_lost_answers_and_kills_loses_and_doubles_nothing(
    world: SheetWorld, tmp_path: Path
) -> None:
    fill_workbook(world.google, free=300)
    lost = {"drop": "after"}
    for simulator, match in (
        (world.google, {"call": "values.append"}),
        (world.bigquery, INSERT),
    ):
        simulator.rules.add({"match": {**match, "probability": 0.3}, "action": lost})
    waiting = {
        command.execution_id: command
        for command in (
            append_row(number, backfill=False, patienceSeconds=60) for number in range(200)
        )
    }
    wanted = sorted(waiting)
    rig = world.rig
    for turn in range(40):
        rig.deliver(*waiting.values())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0 if turn < 4 else 8.0):
                while len(rig.watermark):
                    await asyncio.sleep(0.02)
        for status in rig.statuses:
            if isinstance(status, NodeSucceeded):
                waiting.pop(status.execution_id, None)
        if not waiting:
            break
        waiting = {key: next_attempt(command) for key, command in waiting.items()}
        if turn < 4:
            await rig.kill()
            rig = WorkerRig(connector, tmp_path, slots=1000, instance=f"other-{turn}")
            await rig.__aenter__()
    assert not waiting
    await rig.stop()
    in_sheet, elsewhere = await world.in_sheet(), await world.bigquery_keys()
    assert sorted([*in_sheet, *elsewhere]) == wanted
    assert in_sheet
    assert elsewhere


async def test_a_workbook_that_others_filled_is_noticed_by_googles_refusal(
    world: SheetWorld,
) -> None:
    fill_workbook(world.google, free=900)
    await world.succeed(append_row(0))
    await world.sheets.resize(SPREADSHEET, "Big", 9_999_994, 1)
    (output,) = await world.succeed(append_row(1, backfill=False))
    assert (output["place"], output["reason"]) == ("bigquery", "sheets_full")
    refused = [call for call in world.google.calls if call.status == 400]
    (second,) = await world.succeed(append_row(2, backfill=False))
    assert second["place"] == "bigquery"
    assert len([call for call in world.google.calls if call.status == 400]) == len(refused) == 1


async def test_a_deleted_sheet_parks_or_falls_back_as_the_node_says(world: SheetWorld) -> None:
    await world.succeed(append_row(0))
    await world.sheets.delete_spreadsheet(SPREADSHEET)
    parked = await world.fail(append_row(1))
    assert (parked.kind, parked.error.code) == ("action_required", "sheets_not_found")
    (output,) = await world.succeed(append_row(2, onUnavailable="fallback"))
    assert (output["place"], output["reason"]) == ("bigquery", "sheets_not_found")
    (row,) = await world.in_bigquery()
    assert (row["n"], row["_mirsal_row_key"]) == ("2", output["rowKey"])


async def test_a_sheet_that_is_no_longer_shared_too(world: SheetWorld) -> None:
    await world.sheets.set_access(SPREADSHEET, "none")
    parked = await world.fail(append_row(1))
    assert (parked.kind, parked.error.code) == ("action_required", "sheets_no_permission")
    (output,) = await world.succeed(append_row(2, onUnavailable="fallback"))
    assert output["reason"] == "sheets_no_permission"


async def test_starved_of_quota_beyond_its_patience(world: SheetWorld) -> None:
    match = {"call": "write"}
    world.google.rules.add({"match": match, "action": {"error": {"kind": "rateLimited"}}})
    (output,) = await world.succeed(append_row(1))
    assert (output["place"], output["reason"]) == ("bigquery", "sheets_quota")


async def test_a_node_that_is_patient_is_throttled_and_loses_no_retry(world: SheetWorld) -> None:
    match = {"call": "write"}
    error = {"kind": "rateLimited", "retryAfter": 40}
    world.google.rules.add({"match": match, "action": {"error": error}})
    command = append_row(1, patienceSeconds=600).model_copy(update={"timeout_seconds": 2.0})
    status = await world.fail(command)
    assert (status.kind, status.error.code) == ("throttled", "sheets_quota")


async def test_a_service_that_is_down(world: SheetWorld) -> None:
    world.google.rules.add(AWAY)
    (output,) = await world.succeed(append_row(1, backfill=False))
    assert (output["place"], output["reason"]) == ("bigquery", "sheets_unavailable")
    world.google.rules.clear()
    number = 2
    async with asyncio.timeout(WAIT_SECONDS):
        while output["place"] != "sheet":
            (output,) = await world.succeed(append_row(number, backfill=False))
            number += 1


async def test_a_row_that_no_sheet_takes(world: SheetWorld) -> None:
    long_text = "ض" * 50_001
    good, bad = append_row(1), append_row(2, values={"n": 2, "الاسم": long_text})
    outputs = await world.succeed(good, bad)
    assert [output["place"] for output in outputs] == ["sheet", "bigquery"]
    assert outputs[1]["reason"] == "cell_too_long"
    (row,) = await world.in_bigquery()
    assert long_text in row.values()


async def test_a_body_that_google_refuses(world: SheetWorld) -> None:
    await world.succeed(append_row(0))
    match = {"call": "values.append"}
    world.google.rules.add(
        {"times": 3, "match": match, "action": {"error": {"kind": "tooLargeBody"}}}
    )
    outputs = await world.succeed(*(append_row(number) for number in range(1, 5)))
    assert sorted(output["place"] for output in outputs) == ["bigquery", "sheet", "sheet", "sheet"]
    assert {output.get("reason") for output in outputs} == {None, "sheets_too_large"}


async def test_rows_come_back_once_the_sheet_takes_them(
    world: SheetWorld, database: asyncpg.Connection[asyncpg.Record]
) -> None:
    await world.succeed(append_row(0))
    await world.sheets.delete_spreadsheet(SPREADSHEET)
    commands = [append_row(number, onUnavailable="fallback") for number in range(1, 40)]
    stays = append_row(100, onUnavailable="fallback", backfill=False)
    outputs = await world.succeed(*commands, stays)
    assert {output["place"] for output in outputs} == {"bigquery"}
    await world.sheets.delete_spreadsheet(SPREADSHEET, deleted=False)
    await world.wait_for_rows(*commands)
    await asyncio.sleep(0.5)
    in_sheet = await world.in_sheet()
    assert sorted(in_sheet[1:]) == sorted(command.execution_id for command in commands)
    tab = await world.sheets.tab(SPREADSHEET, "Leads")
    assert sorted(int(record["n"]) for record in tab.records()) == list(range(40))
    states = await database.fetch(
        "SELECT row_key, backfilled_at IS NOT NULL AS back FROM written_rows "
        "WHERE place = 'bigquery'"
    )
    assert {row["row_key"] for row in states if not row["back"]} == {stays.execution_id}
    # A command that comes again finds its row, and writes it nowhere.
    await world.succeed(next_attempt(commands[0]))
    assert len(await world.in_sheet()) == 40


async def test_what_is_brought_back_survives_kills_and_lost_answers(
    world: SheetWorld, tmp_path: Path
) -> None:
    await world.succeed(append_row(0))
    await world.sheets.delete_spreadsheet(SPREADSHEET)
    commands = [append_row(number, onUnavailable="fallback") for number in range(1, 60)]
    await world.succeed(*commands)
    await world.rig.kill()
    await world.sheets.delete_spreadsheet(SPREADSHEET, deleted=False)
    match = {"call": "values.append", "probability": 0.6}
    world.google.rules.add({"match": match, "action": {"drop": "after"}})
    for turn in range(3):
        rig = WorkerRig(connector, tmp_path, slots=1000, instance=f"other-{turn}")
        await rig.__aenter__()
        await asyncio.sleep(0.7)
        await rig.kill()
    world.google.rules.clear()
    async with WorkerRig(connector, tmp_path, slots=1000, instance="last"):
        await world.wait_for_rows(*commands)
        await asyncio.sleep(0.5)
    in_sheet = await world.in_sheet()
    assert sorted(in_sheet[1:]) == sorted(command.execution_id for command in commands)


async def test_with_bigquery_down_too_the_work_waits_and_is_not_lost(world: SheetWorld) -> None:
    await world.sheets.delete_spreadsheet(SPREADSHEET)
    world.bigquery.rules.add({"action": {"error": {"reason": "backendError"}}})
    command = append_row(1, onUnavailable="fallback")
    for _ in range(3):
        status = await world.fail(command)
        assert status.kind == "throttled"
        assert status.retry_after_seconds is not None
        command = next_attempt(command)
    world.bigquery.rules.clear()
    (output,) = await world.succeed(command)
    assert (output["place"], output["reason"]) == ("bigquery", "sheets_not_found")


async def test_a_row_that_bigquery_may_have_goes_nowhere_else(world: SheetWorld) -> None:
    await world.succeed(append_row(0))
    await world.sheets.delete_spreadsheet(SPREADSHEET)
    await world.succeed(append_row(1, onUnavailable="fallback", backfill=False))
    world.bigquery.drop_next("after", match=INSERT)
    command = append_row(2, onUnavailable="fallback", backfill=False)
    status = await world.fail(command)
    assert (status.kind, status.error.code) == ("throttled", "bigquery_no_answer")
    # The sheet is there again when the command comes again.
    await world.sheets.delete_spreadsheet(SPREADSHEET, deleted=False)
    (output,) = await world.succeed(next_attempt(command))
    assert output["place"] == "bigquery"
    assert len(await world.in_sheet()) == 1
    assert sorted(row["n"] for row in await world.in_bigquery()) == ["1", "2"]


async def test_a_worker_that_dies_while_bigquery_stores_leaves_a_row_in_one_place(
    world: SheetWorld, tmp_path: Path
) -> None:
    await world.succeed(append_row(0))
    await world.sheets.delete_spreadsheet(SPREADSHEET)
    command = append_row(1, onUnavailable="fallback", backfill=False)
    world.bigquery.rules.add({"match": INSERT, "times": 1, "action": {"delayMs": 60_000}})
    world.rig.deliver(command)
    await world.bigquery.record.rows.reach(1, WAIT_SECONDS)
    await world.rig.kill()
    await world.sheets.delete_spreadsheet(SPREADSHEET, deleted=False)
    async with WorkerRig(connector, tmp_path, instance="other") as rig:
        (output,) = await world.succeed(command, rig=rig)
    assert output["place"] == "bigquery"
    assert await world.bigquery_keys() == [command.execution_id]
    assert len(await world.in_sheet()) == 1


async def test_a_row_that_bigquery_surely_has_not_may_go_to_the_sheet(world: SheetWorld) -> None:
    await world.succeed(append_row(0))
    await world.sheets.delete_spreadsheet(SPREADSHEET)
    rule = world.bigquery.fail_next("quotaExceeded", times=None)
    command = append_row(1, onUnavailable="fallback")
    status = await world.fail(command)
    assert (status.kind, status.error.code) == ("throttled", "bigquery_quota")
    assert rule.applied
    await world.sheets.delete_spreadsheet(SPREADSHEET, deleted=False)
    (output,) = await world.succeed(next_attempt(command))
    assert output["place"] == "sheet"
    assert len(await world.in_sheet()) == 2


async def test_an_upsert_falls_back_and_does_not_come_back_over_newer_values(
    world: SheetWorld, database: asyncpg.Connection[asyncpg.Record]
) -> None:
    await world.sheets.delete_spreadsheet(SPREADSHEET)
    members = {"operation": "upsert", "keyColumn": "n", "onUnavailable": "fallback"}
    (output,) = await world.succeed(append_row(1, **members))
    assert output["place"] == "bigquery"
    assert await database.fetchval("SELECT backfill FROM written_rows") is False


async def test_without_bigquery_a_full_workbook_waits_for_a_person(
    google: SheetsSimulator, tmp_path: Path
) -> None:
    fill_workbook(google, free=0)
    async with WorkerRig(connector, tmp_path) as rig:
        status = await rig.run(append_row(1))
    assert isinstance(status, NodeFailed)
    assert status.kind == "action_required"
    assert "make room" in status.error.message


async def test_many_rows_that_fall_back_at_once_share_requests(world: SheetWorld) -> None:
    await world.sheets.delete_spreadsheet(SPREADSHEET)
    await world.succeed(*(append_row(number, onUnavailable="fallback") for number in range(1000)))
    inserts = [call for call in world.bigquery.calls if call.rows]
    assert sum(call.stored for call in inserts) == 1000
    assert len(inserts) <= 12
