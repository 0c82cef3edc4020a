"""Rows in BigQuery, on the real emulator with Google's client: stored once, whatever happens."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio
from google.auth.credentials import AnonymousCredentials
from mirsal_runtime.failures import (
    ActionRequired,
    OutcomeUnknown,
    PermanentError,
    ThrottledError,
)
from mirsal_testing.simulators.bigquery import Behaviour
from sheets_worker.bigquery.client import BigQueryClient
from sheets_worker.bigquery.rows import BigQueryRows
from sheets_worker.bigquery.tables import Tables
from sheets_worker.rows import Column, Placed, Row, RowRefused, TabName, Value
from sheets_worker.settings import BigQuerySettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mirsal_testing.simulators.bigquery import BigQuerySimulator

CELLS = Path(__file__).parent / "data" / "formula_cells.json"
TAB = TabName("1AbC-spread_sheet", "العملاء")
NAME, AGE = Column("Name"), Column("Age", "number")
INSERT = {"operation": "tabledata.insertAll"}


def row(key: str, **values: Any) -> Row:
    return Row(key, "ws_1", {"Name": f"name of {key}", **values})


class World:
    """BigQuery as the service has it, and what is stored there."""

    def __init__(self, simulator: BigQuerySimulator) -> None:
        self.simulator = simulator
        settings = BigQuerySettings(
            base_url=simulator.url, project=simulator.project, answer_seconds=20
        )
        credentials = AnonymousCredentials()
        self.client = BigQueryClient(settings, lambda: credentials)
        self.rows = BigQueryRows(self.client, Tables(self.client, settings))

    async def stored(self, columns: str = "*") -> list[dict[str, Any]]:
        """What the tab's view shows, by row key."""
        return await self.client.select(
            f"SELECT {columns} FROM `{self.rows.table(TAB)}__rows` "  # noqa: S608 - own names
            "ORDER BY _mirsal_row_key",
            [],
        )

    async def keys(self) -> list[str]:
        return [each["_mirsal_row_key"] for each in await self.stored("_mirsal_row_key")]

    async def count(self) -> int:
        (found,) = await self.client.select(
            f"SELECT COUNT(*) AS n FROM `{self.rows.table(TAB)}`",  # noqa: S608 - own names
            [],
        )
        return int(found["n"])


@pytest_asyncio.fixture
async def world(bigquery_simulator: BigQuerySimulator) -> AsyncIterator[World]:
    found = World(bigquery_simulator)
    yield found
    found.client.close()


async def test_rows_of_a_new_tab_make_dataset_table_and_view(world: World) -> None:
    answers = await world.rows.put(TAB, [NAME, AGE], [row("a", Age=41), row("b", Age=None)])
    assert answers == [Placed("bigquery", world.rows.table(TAB))] * 2
    stored = await world.stored("_mirsal_row_key, Name, Age")
    assert stored == [
        {"_mirsal_row_key": "a", "Name": "name of a", "Age": 41.0},
        {"_mirsal_row_key": "b", "Name": "name of b", "Age": None},
    ]
    assert await world.rows.reason() is None


async def test_values_have_their_types_and_come_back_as_they_were(world: World) -> None:
    zone = timezone(timedelta(hours=2))
    values: dict[str, Value] = {
        "Name": 'أحمد\n"=1+1"',
        "Age": 41,
        "Rate": 0.1,
        "Born": date(1985, 2, 3),
        "Seen": datetime(2026, 1, 2, 3, 4, 5, tzinfo=zone),
        "Happy": False,
        "Free": 7,
        "Nothing": None,
    }
    columns = [
        Column("Name", "text"),
        Column("Age", "number"),
        Column("Rate", "number"),
        Column("Born", "date"),
        Column("Seen", "datetime"),
        Column("Happy", "boolean"),
        Column("Free"),
        Column("Nothing"),
    ]
    await world.rows.put(TAB, columns, [Row("a", "ws_1", values)])
    (stored,) = await world.stored()
    assert stored["Seen"] == datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)
    assert (stored["Name"], stored["Age"], stored["Rate"]) == (values["Name"], 41.0, 0.1)
    assert (stored["Born"], stored["Happy"], stored["Free"]) == (date(1985, 2, 3), False, "7")
    (found,) = await world.rows.find(TAB, ["a", "never written"])
    assert found == Row("a", "ws_1", values)
    assert [type(value) for value in found.values.values()] == list(map(type, values.values()))


async def test_texts_stay_what_they_are(world: World) -> None:
    """Formulas and SQL alike, as values and as the keys that rows are found by."""
    texts: list[str] = json.loads(CELLS.read_text("utf-8"))
    texts += ["'; DROP TABLE x; --", "' OR 1=1 --", "`", "@key", "${x}", "\\'"]
    rows = [Row(f"{number}' OR '1'='1", "ws_1", {"Name": text}) for number, text in
            enumerate(texts)]  # fmt: skip
    await world.rows.put(TAB, [NAME], rows)
    found = {each["_mirsal_row_key"]: each["Name"] for each in await world.stored()}
    assert found == {row.key: row.values["Name"] for row in rows}
    (one,) = await world.rows.find(TAB, [rows[0].key])
    assert one == rows[0]


async def test_headers_of_any_alphabet_have_columns_that_name_them(world: World) -> None:
    columns = [Column("المدينة"), Column("First name"), Column("first-name"), Column("2nd")]
    values = {column.name: f"value of {column.name}" for column in columns}
    await world.rows.put(TAB, columns, [Row("a", "ws_1", values)])
    table = await world.client.find_table(world.rows.table(TAB))
    named = {field.description: field.name for field in table.schema[3:]}
    assert list(named) == [column.name for column in columns]
    assert (named["First name"], named["2nd"]) == ("First_name", "column_2nd")
    (stored,) = await world.stored()
    assert {header: stored[name] for header, name in named.items()} == values


async def test_a_new_column_widens_the_table_and_a_new_type_has_a_second(world: World) -> None:
    await world.rows.put(TAB, [NAME], [row("a")])
    await world.rows.put(TAB, [NAME, AGE], [row("b", Age=41)])
    await world.rows.put(TAB, [NAME, Column("Age", "text")], [row("c", Age="forty")])
    stored = {each["_mirsal_row_key"]: each for each in await world.stored()}
    assert [stored[key]["Age"] for key in "abc"] == [None, 41.0, None]
    assert stored["c"]["Age_text"] == "forty"


async def test_two_processes_that_widen_at_once_both_get_their_column(world: World) -> None:
    other = World(world.simulator)
    await world.rows.put(TAB, [NAME], [row("a")])
    await other.rows.put(TAB, [NAME], [row("b")])
    await world.rows.put(TAB, [NAME, Column("Town")], [row("c", Town="Cairo")])
    # It still believes the table to be as it was.
    await other.rows.put(TAB, [NAME, Column("Street")], [row("d", Street="Nile")])
    stored = {each["_mirsal_row_key"]: each for each in await world.stored()}
    assert (stored["c"]["Town"], stored["d"]["Street"]) == ("Cairo", "Nile")
    other.client.close()


async def test_a_row_that_comes_again_is_shown_once(world: World) -> None:
    world.simulator.behave(Behaviour(dedupe_seconds=0))
    await world.rows.put(TAB, [NAME], [row("a")])
    await world.rows.put(TAB, [NAME], [Row("a", "ws_1", {"Name": "newer"})])
    assert await world.count() == 2
    assert [each["Name"] for each in await world.stored()] == ["newer"]
    assert len(await world.rows.find(TAB, ["a"])) == 1


@pytest.mark.parametrize("reason", ["stopped", "backendError", "timeout"])
async def test_a_row_that_was_only_stopped_is_sent_again(world: World, reason: str) -> None:
    await world.rows.put(TAB, [NAME], [row("first")])
    refused = {"contains": "name of b", "reason": reason, "message": ""}
    rule = world.simulator.rules.add({"times": 2, "action": {"rows": refused}, "match": INSERT})
    answers = await world.rows.put(TAB, [NAME], [row("a"), row("b"), row("c")])
    assert all(isinstance(answer, Placed) for answer in answers)
    assert rule.applied == 2
    assert await world.keys() == ["a", "b", "c", "first"]
    last = world.simulator.calls[-2]
    assert (last.rows, last.stored) == (1, 1)


async def test_an_invalid_row_is_refused_alone_with_its_reason(world: World) -> None:
    refused = {"contains": "name of b", "reason": "invalid", "message": "we do not like it"}
    world.simulator.rules.add({"action": {"rows": refused}, "match": INSERT})
    first, second, third = await world.rows.put(TAB, [NAME], [row("a"), row("b"), row("c")])
    assert isinstance(second, RowRefused)
    assert isinstance(second.failure, PermanentError)
    assert "we do not like it" in second.failure.message
    assert isinstance(first, Placed)
    assert isinstance(third, Placed)
    assert await world.keys() == ["a", "c"]
    assert await world.rows.reason() is None


async def test_streaming_that_lags_behind_delays_rows_and_refuses_none(world: World) -> None:
    world.simulator.behave(Behaviour(table_lag_seconds=60))
    (answer,) = await world.rows.put(TAB, [NAME], [row("a")])
    assert isinstance(answer, RowRefused)
    assert isinstance(answer.failure, ThrottledError)
    world.simulator.behave(Behaviour(column_lag_seconds=60))
    answers = await world.rows.put(TAB, [NAME], [row("a")])
    assert isinstance(answers[0], RowRefused)
    assert isinstance(answers[0].failure, ThrottledError)
    assert "no such field" in answers[0].failure.message
    world.simulator.behave(Behaviour())
    assert isinstance((await world.rows.put(TAB, [NAME], [row("a")]))[0], Placed)
    assert await world.keys() == ["a"]


async def test_a_lag_of_a_moment_is_waited_for(world: World) -> None:
    world.simulator.behave(Behaviour(table_lag_seconds=0.4))
    (answer,) = await world.rows.put(TAB, [NAME], [row("a")])
    assert isinstance(answer, Placed)


async def test_a_table_that_was_deleted_is_made_again(world: World) -> None:
    await world.rows.put(TAB, [NAME], [row("a")])
    project, dataset, table = world.rows.table(TAB).split(".")
    path = f"/bigquery/v2/projects/{project}/datasets/{dataset}/tables/{table}"
    async with httpx.AsyncClient(base_url=world.simulator.url, trust_env=False) as http:
        (await http.delete(path)).raise_for_status()
    (answer,) = await world.rows.put(TAB, [NAME], [row("b")])
    assert isinstance(answer, Placed)
    assert await world.keys() == ["b"]


async def test_a_lost_answer_is_an_unknown_outcome_and_sending_again_doubles_nothing(
    world: World,
) -> None:
    await world.rows.put(TAB, [NAME], [row("a")])
    world.simulator.drop_next("after", match=INSERT)
    (answer,) = await world.rows.put(TAB, [NAME], [row("b")])
    assert isinstance(answer, RowRefused)
    assert isinstance(answer.failure, OutcomeUnknown)
    (answer,) = await world.rows.put(TAB, [NAME], [row("b")])
    assert isinstance(answer, Placed)
    assert await world.count() == 2


@pytest.mark.parametrize(
    ("reason", "kind", "code"),
    [
        ("rateLimitExceeded", ThrottledError, "bigquery_rate"),
        ("quotaExceeded", ThrottledError, "bigquery_quota"),
        ("accessDenied", ActionRequired, "bigquery_no_permission"),
        ("billingNotEnabled", ActionRequired, "bigquery_billing"),
        ("unauthorized", ActionRequired, "google_credentials"),
        ("backendError", OutcomeUnknown, "bigquery_no_answer"),
    ],
)
async def test_a_403_is_told_by_its_reason(
    world: World, reason: str, kind: type[Exception], code: str
) -> None:
    await world.rows.put(TAB, [NAME], [row("a")])
    world.simulator.fail_next(reason, match=INSERT)
    (answer,) = await world.rows.put(TAB, [NAME], [row("b")])
    assert isinstance(answer, RowRefused)
    assert isinstance(answer.failure, kind)
    assert answer.failure.code == code
    assert len([call for call in world.simulator.calls if call.reason == reason]) == 1
    assert code in (await world.rows.reason() or "")


async def test_more_than_five_hundred_rows_go_in_several_requests(world: World) -> None:
    rows = [row(f"{number:04}") for number in range(1100)]
    answers = await world.rows.put(TAB, [NAME], rows)
    assert all(isinstance(answer, Placed) for answer in answers)
    sizes = [call.rows for call in world.simulator.calls if call.rows]
    assert sizes == [500, 500, 100]
    assert await world.keys() == [each.key for each in rows]


async def test_large_rows_are_spread_over_requests_of_less_than_ten_megabytes(
    world: World,
) -> None:
    # Six bytes a letter on the wire, and once more in the row as it came.
    rows = [row(f"{number}", Note="ض" * 300_000) for number in range(5)]
    answers = await world.rows.put(TAB, [NAME, Column("Note")], rows)
    assert all(isinstance(answer, Placed) for answer in answers)
    inserts = [call for call in world.simulator.calls if call.rows]
    assert max(call.size for call in inserts) < 10_000_000
    assert sum(call.stored for call in inserts) == 5


async def test_a_request_that_is_too_large_all_the_same_is_halved(world: World) -> None:
    await world.rows.put(TAB, [NAME], [row("first")])
    world.simulator.fail_next("requestTooLarge", times=2, match=INSERT)
    answers = await world.rows.put(TAB, [NAME], [row(f"{number}") for number in range(8)])
    assert all(isinstance(answer, Placed) for answer in answers)
    assert [call.rows for call in world.simulator.calls if call.stored] == [1, 2, 2, 4]


async def test_nobody_there_is_waited_for(world: World) -> None:
    settings = BigQuerySettings(base_url="http://127.0.0.1:9", project="p", connect_seconds=1)
    credentials = AnonymousCredentials()
    client = BigQueryClient(settings, lambda: credentials)
    rows = BigQueryRows(client, Tables(client, settings))
    (answer,) = await rows.put(TAB, [NAME], [row("a")])
    assert isinstance(answer, RowRefused)
    assert isinstance(answer.failure, ThrottledError)
    assert "cannot be reached" in (await rows.reason() or "")
    client.close()
