"""Updates, upserts, look-ups, reads, clear and new tabs, by the whole worker."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mirsal_contracts.commands import RunNode
from mirsal_contracts.statuses import NodeFailed, NodeSucceeded
from mirsal_testing.commands import make_command, next_attempt
from mirsal_testing.simulators.sheets import SheetsSimulator, SheetsSimulatorClient, TabSpec
from mirsal_testing.worker_rig import WorkerRig
from sheets_worker.main import connector

SPREADSHEET = "people"
PEOPLE: list[list[Any]] = [
    ["Phone", "Name", "City", "Score"],
    ["+201", "أحمد", "القاهرة", 7],
    ["+202", "Sara", "", 8],
    ["+203", "Ali", "دبي", 7],
]

RECORDS = [dict(zip(PEOPLE[0], row, strict=True)) for row in PEOPLE[1:]]


@pytest.fixture
async def rig(google: SheetsSimulator, tmp_path: Path) -> AsyncIterator[WorkerRig]:
    """One process of the worker, and a sheet of people."""
    google.add_spreadsheet(SPREADSHEET, [TabSpec(title="People", values=PEOPLE)])
    async with WorkerRig(connector, tmp_path, slots=1000) as rig:
        yield rig


def command(operation: str, sheet: str = "People", **members: Any) -> RunNode:
    """A command for the sheet of people."""
    config = {"operation": operation, "spreadsheetId": SPREADSHEET, "sheet": sheet, **members}
    return make_command("google_sheets", config, timeout_seconds=20)


async def run(rig: WorkerRig, *commands: RunNode) -> list[dict[str, Any]]:
    """The outputs of commands, all of which succeed."""
    rig.deliver(*commands)
    outputs = []
    for each in commands:
        status = await rig.status_of(each)
        assert isinstance(status, NodeSucceeded), status
        outputs.append(status.output)
    return outputs


async def fail(rig: WorkerRig, failing: RunNode) -> tuple[str, str]:
    """Kind and code of a command's failure."""
    status = await rig.run(failing)
    assert isinstance(status, NodeFailed), status
    return status.kind, status.error.code


async def people(sheets: SheetsSimulatorClient) -> dict[str, list[Any]]:
    """The rows by their phones, without row keys."""
    found = await sheets.tab(SPREADSHEET, "People")
    return {str(row[0]): row[1:4] for row in found.values[1:] if row}


async def test_an_update_changes_the_cells_that_it_names(
    rig: WorkerRig, sheets: SheetsSimulatorClient
) -> None:
    values = {"Phone": "+202", "City": "الرياض", "Score": None}
    (output,) = await run(rig, command("update", keyColumn="Phone", values=values))
    assert (output["row"], output["matched"], output["place"]) == (3, 1, "sheet")
    assert (await people(sheets))["+202"] == ["Sara", "الرياض"]
    assert (await sheets.tab(SPREADSHEET, "People")).values[0] == PEOPLE[0], "no column was added"


async def test_an_update_of_nobody_changes_nothing(rig: WorkerRig, google: SheetsSimulator) -> None:
    before = google.record.writes
    values = {"Phone": "+209", "City": "x"}
    (output,) = await run(rig, command("update", keyColumn="Phone", values=values))
    assert output == {"operation": "update", "matched": 0}
    assert google.record.writes == before


async def test_an_update_of_a_column_that_is_not_there_fails(rig: WorkerRig) -> None:
    values = {"Phone": "+201", "Town": "x"}
    failed = await fail(rig, command("update", keyColumn="Phone", values=values))
    assert failed == ("permanent", "no_such_column")


async def test_upserts_change_who_is_there_and_add_who_is_not(
    rig: WorkerRig, sheets: SheetsSimulatorClient, google: SheetsSimulator
) -> None:
    before = google.record.writes
    commands = [
        command("upsert", keyColumn="Phone", values={"Phone": phone, "City": city})
        for phone, city in [
            ("+203", "a"),
            ("+204", "b"),
            ("+203", "c"),
            ("+204", "d"),
            ("+205", "e"),
        ]
    ]
    outputs = await run(rig, *commands)
    assert [output["row"] for output in outputs] == [4, 5, 4, 5, 6]
    found = await people(sheets)
    assert (found["+203"][1], found["+204"][1], found["+205"][1]) == ("c", "d", "e")
    assert len(found) == 5
    assert google.record.writes - before == 3, "the header, the changes, the new rows"


async def test_an_upsert_that_comes_again_does_not_undo_a_later_one(
    rig: WorkerRig, sheets: SheetsSimulatorClient
) -> None:
    first = command("upsert", keyColumn="Phone", values={"Phone": "+201", "City": "old"})
    second = command("upsert", keyColumn="Phone", values={"Phone": "+201", "City": "new"})
    await run(rig, first)
    await run(rig, second)
    await run(rig, next_attempt(first))
    assert (await people(sheets))["+201"][1] == "new"


@pytest.mark.parametrize("drop", ["before", "after"])
async def test_a_lost_answer_to_a_change_leaves_one_change(
    rig: WorkerRig, sheets: SheetsSimulatorClient, google: SheetsSimulator, drop: str
) -> None:
    google.drop_next(drop, match={"call": "values.batchUpdate"})
    google.drop_next(drop, match={"call": "values.append"})
    commands = [
        command("upsert", keyColumn="Phone", values={"Phone": phone, "City": "x"})
        for phone in ("+201", "+206")
    ]
    outputs = await run(rig, *commands)
    assert [output["row"] for output in outputs] == [2, 5]
    found = await people(sheets)
    assert (found["+201"][1], found["+206"][1], len(found)) == ("x", "x", 4)


async def test_look_ups_of_many_share_their_reads(rig: WorkerRig, google: SheetsSimulator) -> None:
    before = google.record.reads
    commands = [command("lookup", keyColumn="Score", keyValue=value) for value in (7, "8", 9)]
    seven, eight, nine = await run(rig, *commands)
    assert (seven["matched"], seven["row"]) == (2, 2)
    assert [row["Name"] for row in seven["rows"]] == ["أحمد", "Ali"]
    assert eight["rows"] == [{"Phone": "+202", "Name": "Sara", "City": "", "Score": 8}]
    assert (nine["matched"], nine["rows"]) == (0, [])
    assert "row" not in nine
    assert google.record.reads - before == 3


async def test_a_look_up_gives_as_many_rows_as_it_may(rig: WorkerRig) -> None:
    (output,) = await run(rig, command("lookup", keyColumn="Score", keyValue=7, limit=1))
    assert (output["matched"], len(output["rows"])) == (2, 1)


@pytest.mark.parametrize(
    ("members", "rows"),
    [
        ({}, RECORDS),
        ({"limit": 1}, RECORDS[:1]),
        ({"range": "b3:C4"}, [{"Name": "Sara", "City": ""}, {"Name": "Ali", "City": "دبي"}]),
        ({"range": "A100:B200"}, []),
    ],
)
async def test_reads(rig: WorkerRig, members: dict[str, Any], rows: list[Any]) -> None:
    (output,) = await run(rig, command("read", **members))
    assert output["rows"] == rows


async def test_nothing_can_be_read_where_there_is_no_tab(rig: WorkerRig) -> None:
    for members in (
        {"operation": "read"},
        {"operation": "lookup", "keyColumn": "a", "keyValue": 1},
    ):
        assert await fail(rig, command(sheet="Nobody", **members)) == ("permanent", "sheets_no_tab")


async def test_clear_empties_the_rows_once(
    rig: WorkerRig, sheets: SheetsSimulatorClient, google: SheetsSimulator
) -> None:
    clear = command("clear")
    await run(rig, clear)
    assert (await sheets.tab(SPREADSHEET, "People")).values == PEOPLE[:1]
    append = command("append", values={"Phone": "+207"})
    (output,) = await run(rig, append)
    assert output["row"] == 2
    writes = google.record.writes
    await run(rig, next_attempt(clear))
    assert google.record.writes == writes, "it comes again and empties nothing"
    assert list(await people(sheets)) == ["+207"]


@pytest.mark.parametrize("drop", ["before", "after"])
async def test_a_lost_answer_to_clear(
    rig: WorkerRig, sheets: SheetsSimulatorClient, google: SheetsSimulator, drop: str
) -> None:
    google.drop_next(drop, match={"call": "values.clear"})
    rows = command("append", values={"Phone": "+208"})
    await run(rig, command("clear", range="A2:D3"), rows)
    found = await people(sheets)
    assert {"+203", "+208"} <= set(found)
    assert not {"+201", "+202"} & set(found)


async def test_a_range_that_is_none_fails(rig: WorkerRig) -> None:
    failed = await fail(rig, command("clear", range="People!A1"))
    assert failed == ("permanent", "invalid_range")


async def test_a_tab_is_made_once(rig: WorkerRig, sheets: SheetsSimulatorClient) -> None:
    columns = {"columns": ["a", "تاريخ"], "types": {"تاريخ": "date"}}
    first, again = (command("create_tab", sheet="جديد", **columns) for _ in range(2))
    outputs = await run(rig, first, again)
    assert {output["range"] for output in outputs} == {"'جديد'!A1:C1"}
    tab = await sheets.tab(SPREADSHEET, "جديد")
    assert tab.values == [["a", "تاريخ", "_mirsal_row_key"]]
    assert tab.hidden_columns == (2,)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("spreadsheetId", "../x"),
        ("spreadsheetId", "a" * 300),
        ("sheet", " "),
        ("sheet", "a" * 101),
        ("sheet", "a\nb"),
    ],
)
async def test_names_that_are_none(rig: WorkerRig, member: str, value: str) -> None:
    failing = command("read")
    failing = failing.model_copy(update={"config": {**failing.config, member: value}})
    assert await fail(rig, failing) == ("permanent", "invalid_params")


async def test_an_address_of_a_spreadsheet_is_as_good_as_its_id(rig: WorkerRig) -> None:
    address = f"https://docs.google.com/spreadsheets/d/{SPREADSHEET}/edit#gid=0"
    given = command("read", limit=1)
    given = given.model_copy(update={"config": {**given.config, "spreadsheetId": address}})
    (output,) = await run(rig, given)
    assert len(output["rows"]) == 1


async def test_a_look_up_of_many_rows_fits_an_address(
    rig: WorkerRig, google: SheetsSimulator
) -> None:
    title = "جدول" * 20
    rows: list[list[Any]] = [["Kind", "Number"]]
    rows += [["even" if number % 2 == 0 else "odd", number] for number in range(900)]
    google.add_spreadsheet("many", [TabSpec(title=title, values=rows)])
    given = command("lookup", sheet=title, keyColumn="Kind", keyValue="odd", limit=1000)
    given = given.model_copy(update={"config": {**given.config, "spreadsheetId": "many"}})
    (output,) = await run(rig, given)
    assert [row["Number"] for row in output["rows"]] == list(range(1, 900, 2))
    # Google's front refuses addresses of more than some thousand characters.
    assert max(len(str(call.path)) for call in google.calls) < 8000
