"""Rows on their way into a sheet: header, values, row keys, groups, and what comes again."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from mirsal_contracts.commands import RunNode
from mirsal_contracts.statuses import NodeFailed, NodeSucceeded
from mirsal_runtime.postgres import close_pool
from mirsal_testing.commands import make_command, next_attempt
from mirsal_testing.simulators.sheets import (
    SheetsSimulator,
    SheetsSimulatorClient,
    TabRows,
    TabSpec,
)
from mirsal_testing.worker_rig import WorkerRig
from pydantic import SecretStr
from sheets_worker.departures import Departures
from sheets_worker.main import connector
from sheets_worker.process import open_store_pool
from sheets_worker.rows import TabName
from sheets_worker.store import SheetStore

SPREADSHEET = "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms"


@pytest.fixture
async def rig(google: SheetsSimulator, tmp_path: Path) -> AsyncIterator[WorkerRig]:
    """One process of the worker."""
    async with WorkerRig(connector, tmp_path, slots=1000) as rig:
        yield rig


def append(values: dict[str, Any], sheet: str = "Leads", **members: Any) -> RunNode:
    """A command that adds a row."""
    config = {
        "operation": "append",
        "spreadsheetId": SPREADSHEET,
        "sheet": sheet,
        "values": values,
        **members,
    }
    return make_command("google_sheets", config, timeout_seconds=20)


async def done(rig: WorkerRig, *commands: RunNode) -> list[dict[str, Any]]:
    """The outputs of commands, all of which succeed."""
    rig.deliver(*commands)
    statuses = [await rig.status_of(command) for command in commands]
    outputs = []
    for status in statuses:
        assert isinstance(status, NodeSucceeded), status
        outputs.append(status.output)
    return outputs


def keys_of(tab: TabRows) -> list[str]:
    """The row keys, in the order of the rows."""
    return [str(record["_mirsal_row_key"]) for record in tab.records()]


async def test_a_row_makes_tab_header_and_key(
    rig: WorkerRig, sheets: SheetsSimulatorClient
) -> None:
    command = append({"الاسم": "أحمد محمد", "Score": 7})
    (output,) = await done(rig, command)
    assert output == {
        "operation": "append",
        "place": "sheet",
        "range": "'Leads'!A2:C2",
        "row": 2,
        "rowKey": command.execution_id,
    }
    tab = await sheets.tab(SPREADSHEET, "Leads")
    assert tab.values == [
        ["الاسم", "Score", "_mirsal_row_key"],
        ["أحمد محمد", 7, command.execution_id],
    ]
    assert tab.hidden_columns == (2,)


# What some program takes for a formula, a number, a date or a truth, and what is around it.
LOOKS_LIKE_MORE: list[str] = json.loads(
    (Path(__file__).parent / "data" / "formula_cells.json").read_text("utf-8")
)


async def test_texts_stay_what_they_are(rig: WorkerRig, sheets: SheetsSimulatorClient) -> None:
    assert len(LOOKS_LIKE_MORE) >= 60
    commands = [append({"text": text}) for text in LOOKS_LIKE_MORE]
    await done(rig, *commands)
    for render in ("FORMULA", "UNFORMATTED_VALUE"):
        tab = await sheets.tab(SPREADSHEET, "Leads", render=render)
        found = {str(record["_mirsal_row_key"]): record["text"] for record in tab.records()}
        assert [found[command.execution_id] for command in commands] == LOOKS_LIKE_MORE


async def test_texts_stay_what_they_are_as_names_of_columns(
    rig: WorkerRig, sheets: SheetsSimulatorClient
) -> None:
    names = [text for text in LOOKS_LIKE_MORE if text == text.strip() and text.isprintable()]
    assert len(names) >= 40
    (_,) = await done(rig, append(dict.fromkeys(names, "x"), sheet="Names"))
    header = (await sheets.tab(SPREADSHEET, "Names", render="FORMULA")).values[0]
    assert header == [*names, "_mirsal_row_key"]


async def test_typed_columns(rig: WorkerRig, sheets: SheetsSimulatorClient) -> None:
    values = {
        "n": "٢٠٫٥",
        "d": "2025-03-05",
        "t": "2025-03-05T22:15:00Z",
        "b": "true",
        "x": "7",
        "e": "",
        "none": None,
    }
    types = {"n": "number", "d": "date", "t": "datetime", "b": "boolean", "x": "text", "e": "date"}
    await done(rig, append(values, types=types, timeZone="Asia/Dubai"))
    tab = await sheets.tab(SPREADSHEET, "Leads")
    (record,) = tab.records()
    assert (record["n"], record["d"], record["b"], record["x"]) == (20.5, 45721, True, "7")
    assert record["t"] == pytest.approx(45722 + (2 * 60 + 15) / 1440)
    assert record["e"] == record["none"] == ""
    shown = (await sheets.tab(SPREADSHEET, "Leads", render="FORMATTED_VALUE")).records()[0]
    assert (shown["d"], shown["t"]) == ("2025-03-05", "2025-03-06 02:15:00")


async def test_a_value_that_does_not_fit_its_type_fails_its_row_only(
    rig: WorkerRig, sheets: SheetsSimulatorClient
) -> None:
    good, bad = (append({"n": number}, types={"n": "number"}) for number in ("1", "seven"))
    rig.deliver(good, bad)
    assert isinstance(await rig.status_of(good), NodeSucceeded)
    failed = await rig.status_of(bad)
    assert isinstance(failed, NodeFailed)
    assert (failed.kind, failed.error.code) == ("permanent", "invalid_value")
    assert len((await sheets.tab(SPREADSHEET, "Leads")).values) == 2


async def test_columns_that_are_not_there_are_added_before_the_keys(
    rig: WorkerRig, sheets: SheetsSimulatorClient
) -> None:
    first, second = append({"a": "1"}), append({"b": "2", "a": "3"})
    await done(rig, first)
    await done(rig, second)
    tab = await sheets.tab(SPREADSHEET, "Leads")
    assert tab.values == [
        ["a", "b", "_mirsal_row_key"],
        ["1", "", first.execution_id],
        ["3", "2", second.execution_id],
    ]
    assert tab.hidden_columns == (2,)


async def test_a_header_of_a_persons_own_is_kept(
    rig: WorkerRig, sheets: SheetsSimulatorClient, google: SheetsSimulator
) -> None:
    google.add_spreadsheet(
        "theirs",
        [TabSpec(title="Leads", values=[["Phone", " Name ", "", "Notes"], ["1", "A", "", "x"]])],
    )
    command = append({"Name": "أحمد", "Phone": "+20"})
    command = command.model_copy(update={"config": {**command.config, "spreadsheetId": "theirs"}})
    await done(rig, command)
    tab = await sheets.tab("theirs", "Leads")
    assert tab.values == [
        ["Phone", " Name ", "", "Notes", "_mirsal_row_key"],
        ["1", "A", "", "x"],
        ["+20", "أحمد", "", "", command.execution_id],
    ]


async def test_a_header_with_a_column_twice_waits_for_a_person(
    rig: WorkerRig, google: SheetsSimulator
) -> None:
    google.add_spreadsheet("theirs", [TabSpec(title="Leads", values=[["a", "b", "a "]])])
    command = append({"a": "1"})
    command = command.model_copy(update={"config": {**command.config, "spreadsheetId": "theirs"}})
    status = await rig.run(command)
    assert isinstance(status, NodeFailed)
    assert (status.kind, status.error.code) == ("action_required", "invalid_header")


async def test_a_thousand_rows_that_wait_take_a_few_writes(
    rig: WorkerRig, google: SheetsSimulator, sheets: SheetsSimulatorClient
) -> None:
    commands = [append({"n": number}) for number in range(1000)]
    outputs = await done(rig, *commands)
    assert len({output["row"] for output in outputs}) == 1000
    tab = await sheets.tab(SPREADSHEET, "Leads")
    assert keys_of(tab) == [command.execution_id for command in commands]
    assert [record["n"] for record in tab.records()] == list(range(1000))
    assert google.record.writes <= 12


async def test_a_row_is_found_by_who_knows_nothing_of_its_outcome(
    rig: WorkerRig, google: SheetsSimulator, sheets: SheetsSimulatorClient, tmp_path: Path
) -> None:
    """As after a `kill -9` between the row and its outcome's way into the ledger."""
    command = append({"a": "1"})
    (first,) = await done(rig, command)
    before = google.record.writes
    async with WorkerRig(connector, tmp_path, instance="heir") as heir:
        assert await done(heir, command) == [first]
        assert await done(heir, next_attempt(command)) == [first]
    assert google.record.writes == before
    assert len((await sheets.tab(SPREADSHEET, "Leads")).values) == 2


@pytest.mark.parametrize("drop", ["before", "after"])
async def test_a_lost_answer_is_looked_up_before_anything_else_is_written(
    rig: WorkerRig, google: SheetsSimulator, sheets: SheetsSimulatorClient, drop: str
) -> None:
    await done(rig, append({"a": "0"}))
    google.drop_next(drop, match={"call": "values.append"})
    commands = [append({"a": str(number)}) for number in range(1, 20)]
    outputs = await done(rig, *commands)
    tab = await sheets.tab(SPREADSHEET, "Leads")
    assert keys_of(tab)[1:] == [command.execution_id for command in commands]
    assert [output["row"] for output in outputs] == list(range(3, 22))


async def test_a_person_may_sort_and_add_rows_while_an_answer_is_lost(
    google: SheetsSimulator,
    sheets: SheetsSimulatorClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows are known by their keys wherever they stand."""
    monkeypatch.setenv("MIRSAL_SHEETS_ANSWER_SECONDS", "1.5")
    async with WorkerRig(connector, tmp_path, slots=1000) as rig:
        await done(rig, *(append({"a": f"b{number}"}) for number in range(80)))
        action = {"hang": True, "accept": True}
        google.rules.add({"times": 1, "match": {"call": "values.append"}, "action": action})
        late = append({"a": "a-first"})
        rig.deliver(late)
        while len((await sheets.tab(SPREADSHEET, "Leads")).values) < 82:
            await asyncio.sleep(0.01)
        await sort_as_a_person(google, sheets)
        status = await rig.status_of(late)
    assert isinstance(status, NodeSucceeded)
    assert status.output["row"] == 2
    keys = keys_of(await sheets.tab(SPREADSHEET, "Leads"))
    assert keys.count(late.execution_id) == 1
    assert len(keys) == 82


async def test_a_write_whose_process_died_before_its_request_holds_nobody_up(
    rig: WorkerRig,
    google: SheetsSimulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    database_url: str,
) -> None:
    """As after a `kill -9` between the note and the first byte: the successor knows."""
    (first,) = await done(rig, append({"a": "1"}))
    await rig.kill()
    monkeypatch.setenv("MIRSAL_SHEETS_SETTLE_SECONDS", "600")
    process = Departures(tmp_path / "sheets" / "local-1.writes")
    write, command = uuid4(), append({"a": "2"})
    process.note(write)
    pool = await open_store_pool(SecretStr(database_url), "killed")
    tab = TabName(SPREADSHEET, "Leads")
    assert await SheetStore(pool).begin(tab, write, [command.execution_id], ["default"], "default")
    await close_pool(pool)
    async with WorkerRig(connector, tmp_path, instance="heir") as heir:
        (second,) = await done(heir, command)
    assert (first["row"], second["row"]) == (2, 3)


async def sort_as_a_person(google: SheetsSimulator, sheets: SheetsSimulatorClient) -> None:
    """Sort all rows by their first column, and add one."""
    book = google.library.find(SPREADSHEET)
    assert book is not None
    tab = book.find_tab("Leads")
    assert tab is not None
    rows = sorted((await sheets.tab(SPREADSHEET, "Leads")).values[1:], key=lambda row: str(row[0]))
    rows.insert(3, ["a person's own"])
    for number, row in enumerate(rows):
        for place in range(2):
            tab.remove(number + 1, place)
            if place < len(row):
                tab.put(number + 1, place, row[place])


async def test_two_processes_that_meet_in_a_tab_write_each_row_once(
    rig: WorkerRig,
    google: SheetsSimulator,
    sheets: SheetsSimulatorClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a rebalance: both have the same commands, and neither knows of the other."""
    monkeypatch.setenv("MIRSAL_INSTANCE", "other")
    # Between a process's look at what is known and its own write lies the other one's.
    google.rules.add({"match": {"call": "read"}, "action": {"delayMs": 80}})
    google.rules.add({"times": 2, "match": {"call": "values.append"}, "action": {"drop": "after"}})
    commands = [append({"n": number}) for number in range(60)]
    async with WorkerRig(connector, tmp_path, instance="other", slots=1000) as other:
        for start in range(0, 60, 5):
            for each in (rig, other):
                each.deliver(*commands[start : start + 5])
                await asyncio.sleep(0.04)
        for each in (rig, other):
            for command in commands:
                assert isinstance(await each.status_of(command), NodeSucceeded)
    keys = keys_of(await sheets.tab(SPREADSHEET, "Leads"))
    assert sorted(keys) == sorted(command.execution_id for command in commands)


async def test_a_tab_is_one_in_whichever_case_it_is_named(
    rig: WorkerRig, google: SheetsSimulator, sheets: SheetsSimulatorClient, database_url: str
) -> None:
    await done(rig, append({"n": 0}))
    google.rules.add({"match": {"call": "values.append"}, "action": {"delayMs": 100}})
    commands = [append({"n": number}, sheet) for number, sheet in enumerate(["Leads", "LEADS"])]
    outputs = await done(rig, *commands)
    assert {output["row"] for output in outputs} == {3, 4}
    assert len((await sheets.tab(SPREADSHEET, "leads")).values) == 4
    connection = await asyncpg.connect(database_url)
    tabs = await connection.fetch("SELECT sheet FROM sheets_worker.tabs")
    await connection.close()
    assert [row["sheet"] for row in tabs] == ["leads"], "both heed the same note"
