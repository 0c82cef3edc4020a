"""The BigQuery simulator as Google's own client sees it: tables, rows, queries, row errors."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from mirsal_testing.simulators.bigquery import Behaviour

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from mirsal_testing.simulators.bigquery import BigQuerySimulator

SECONDS = 20.0
COLUMNS = (
    bigquery.SchemaField("name", "STRING", description="الاسم"),
    bigquery.SchemaField("age", "INTEGER"),
    bigquery.SchemaField("rate", "NUMERIC"),
    bigquery.SchemaField("born", "DATE"),
    bigquery.SchemaField("seen", "TIMESTAMP"),
    bigquery.SchemaField("happy", "BOOLEAN"),
)


class Caller:
    """Google's client in threads, with one attempt and a deadline for each call."""

    def __init__(self, simulator: BigQuerySimulator) -> None:
        self.simulator = simulator
        self.client = bigquery.Client(
            project=simulator.project,
            credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=simulator.url),
        )
        self.name = f"{simulator.project}.leads.rows"

    async def call(self, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return await asyncio.to_thread(method, *args, retry=None, timeout=SECONDS, **options)

    async def make_table(self, columns: Sequence[bigquery.SchemaField] = COLUMNS) -> None:
        await self.call(self.client.create_dataset, f"{self.simulator.project}.leads")
        await self.call(self.client.create_table, bigquery.Table(self.name, schema=columns))

    async def insert(self, *rows: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
        """`id` of a row becomes its insertId."""
        ids = [row.pop("id", None) for row in rows]
        errors = await self.call(
            self.client.insert_rows_json, self.name, rows, row_ids=ids, **options
        )
        return list(errors)

    async def widen(self, *added: bigquery.SchemaField) -> None:
        table = await self.call(self.client.get_table, self.name)
        table.schema = [*table.schema, *added]
        await self.call(self.client.update_table, table, ["schema"])

    async def select(self, statement: str) -> list[dict[str, Any]]:
        def run() -> list[dict[str, Any]]:
            found = self.client.query_and_wait(
                statement.format(table=f"`{self.name}`"),
                retry=None,  # type: ignore[arg-type]  # None is documented: no retry
                job_retry=None,  # type: ignore[arg-type]  # the same
            )
            return [dict(row.items()) for row in found]

        return await asyncio.to_thread(run)


@pytest_asyncio.fixture
async def caller(bigquery_simulator: BigQuerySimulator) -> AsyncIterator[Caller]:
    found = Caller(bigquery_simulator)
    yield found
    found.client.close()


async def test_what_is_inserted_is_found(caller: Caller) -> None:
    await caller.make_table()
    row = {
        "name": "أحمد",
        "age": "41",
        "rate": 1.5,
        "born": "1985-02-03",
        "seen": "2026-01-02T03:04:05+02:00",
        "happy": True,
    }
    assert await caller.insert({**row, "id": "a"}) == []
    (found,) = await caller.select(
        "SELECT name, age, CAST(rate AS STRING) AS rate, CAST(born AS STRING) AS born, "
        "UNIX_SECONDS(seen) AS seen, happy FROM {table}"
    )
    assert found.pop("rate").startswith("1.5")
    assert found == {
        "name": "أحمد",
        "age": 41,
        "born": "1985-02-03",
        "seen": 1767315845,
        "happy": True,
    }
    table = await caller.call(caller.client.get_table, caller.name)
    assert table.schema[0].description == "الاسم"
    (stored,) = caller.simulator.rows
    assert (stored.table, stored.insert_id) == (f"{caller.simulator.project}:leads.rows", "a")


async def test_one_bad_row_stops_its_call(caller: Caller) -> None:
    await caller.make_table()
    errors = await caller.insert({"name": "a"}, {"age": "old"}, {"town": "Cairo"})
    assert [(each["index"], each["errors"][0]["reason"]) for each in errors] == [
        (0, "stopped"),
        (1, "invalid"),
        (2, "invalid"),
    ]
    assert errors[1]["errors"][0]["location"] == "age"
    assert errors[2]["errors"][0]["message"] == "no such field: town."
    assert await caller.select("SELECT * FROM {table}") == []


async def test_bad_rows_may_be_skipped_and_unknown_fields_ignored(caller: Caller) -> None:
    await caller.make_table()
    errors = await caller.insert(
        {"name": "a"}, {"age": "old"}, {"name": "c", "town": "Cairo"},
        skip_invalid_rows=True, ignore_unknown_values=True,
    )  # fmt: skip
    assert [each["index"] for each in errors] == [1]
    found = await caller.select("SELECT name FROM {table} ORDER BY name")
    assert [row["name"] for row in found] == ["a", "c"]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("age", "3.5", "Cannot convert value to integer (bad value): 3.5"),
        ("age", True, "Cannot convert value to integer (bad value): true"),
        ("age", 2**63, "Cannot convert value to integer"),
        ("rate", "much", "Invalid NUMERIC value: much"),
        ("rate", 1e30, "Invalid NUMERIC value"),
        ("born", "03.02.1985", "Invalid date: '03.02.1985'"),
        ("seen", "soon", "Could not parse 'soon' as a timestamp"),
        ("happy", "very", "Cannot convert value to boolean (bad value): very"),
        ("name", ["a"], "Array specified for non-repeated field: name."),
        ("name", {"a": 1}, "This field: name is not a record."),
    ],
)
async def test_a_value_of_another_type_is_its_rows_fault(
    caller: Caller, column: str, value: object, words: str
) -> None:
    await caller.make_table()
    (error,) = await caller.insert({column: value})
    assert words in error["errors"][0]["message"]
    assert error["errors"][0]["reason"] == "invalid"


async def test_a_repeated_insert_id_is_dropped_for_a_minute(caller: Caller) -> None:
    await caller.make_table()
    for _ in range(2):
        assert await caller.insert({"name": "a", "id": "one"}, {"name": "b", "id": "one"}) == []
    assert len(await caller.select("SELECT * FROM {table}")) == 1
    assert [call.repeated for call in caller.simulator.calls[-3:-1]] == [1, 2]


async def test_remembering_insert_ids_can_be_switched_off(caller: Caller) -> None:
    await caller.make_table()
    caller.simulator.behave(Behaviour(dedupe_seconds=0))
    for _ in range(2):
        await caller.insert({"name": "a", "id": "one"})
    assert len(await caller.select("SELECT * FROM {table}")) == 2
    assert caller.simulator.record.by_insert_id.repeated == {"one": 2}


async def test_a_table_can_be_widened_under_its_rows(caller: Caller) -> None:
    await caller.make_table()
    await caller.insert({"name": "a"})
    await caller.widen(bigquery.SchemaField("town", "STRING", description="المدينة"))
    assert await caller.insert({"name": "b", "town": "القاهرة"}) == []
    found = await caller.select("SELECT name, town FROM {table} ORDER BY name")
    assert found == [{"name": "a", "town": None}, {"name": "b", "town": "القاهرة"}]


async def test_a_new_column_is_known_to_streaming_after_a_while(caller: Caller) -> None:
    await caller.make_table()
    caller.simulator.behave(Behaviour(column_lag_seconds=60))
    await caller.widen(bigquery.SchemaField("town", "STRING"))
    (error,) = await caller.insert({"town": "Cairo"})
    assert error["errors"][0]["message"] == "no such field: town."
    caller.simulator.behave(Behaviour(column_lag_seconds=0))
    assert await caller.insert({"town": "Cairo"}) == []


async def test_a_new_table_is_known_to_streaming_after_a_while(caller: Caller) -> None:
    caller.simulator.behave(Behaviour(table_lag_seconds=60))
    await caller.make_table()
    with pytest.raises(exceptions.NotFound, match=r"Not found: Table"):
        await caller.insert({"name": "a"})
    caller.simulator.behave(Behaviour(table_lag_seconds=0))
    assert await caller.insert({"name": "a"}) == []


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (COLUMNS[1:], "Field name is missing in new schema"),
        (
            (bigquery.SchemaField("name", "INTEGER"), *COLUMNS[1:]),
            "has changed type from STRING to INTEGER",
        ),
        ((*COLUMNS, bigquery.SchemaField("town", "STRING", "REQUIRED")), "Cannot add required"),
        ((*COLUMNS, bigquery.SchemaField("المدينة", "STRING")), "Invalid field name"),
        ((*COLUMNS, bigquery.SchemaField("NAME", "STRING")), "already exists in schema"),
    ],
)
async def test_what_is_no_widening_is_refused(
    caller: Caller, columns: Sequence[bigquery.SchemaField], words: str
) -> None:
    await caller.make_table()
    table = bigquery.Table(caller.name, schema=columns)
    with pytest.raises(exceptions.BadRequest, match=words):
        await caller.call(caller.client.update_table, table, ["schema"])


async def test_a_table_needs_its_dataset(caller: Caller) -> None:
    with pytest.raises(exceptions.NotFound, match="Not found: Dataset"):
        await caller.call(caller.client.create_table, bigquery.Table(caller.name, schema=COLUMNS))


async def test_of_two_that_widen_at_once_one_must_look_again(caller: Caller) -> None:
    await caller.make_table()
    first = await caller.call(caller.client.get_table, caller.name)
    await caller.widen(bigquery.SchemaField("town", "STRING"))
    first.schema = [*first.schema, bigquery.SchemaField("street", "STRING")]
    with pytest.raises(exceptions.PreconditionFailed):
        await caller.call(caller.client.update_table, first, ["schema"])


async def test_a_view_shows_the_newest_of_each_key(caller: Caller) -> None:
    await caller.make_table()
    view = bigquery.Table(f"{caller.name}__newest")
    view.view_query = (
        f"SELECT * EXCEPT (place) FROM (SELECT *, ROW_NUMBER() OVER "  # noqa: S608 - own names
        f"(PARTITION BY name ORDER BY seen DESC) AS place FROM `{caller.name}`) WHERE place = 1"
    )
    await caller.call(caller.client.create_table, view)
    for age, seen in ((1, "2026-01-01T00:00:00Z"), (2, "2026-01-02T00:00:00Z")):
        await caller.insert({"name": "a", "age": age, "seen": seen})
    found = await caller.select(
        f"SELECT name, age FROM `{caller.name}__newest`"  # noqa: S608 - own names
    )
    assert found == [{"name": "a", "age": 2}]
