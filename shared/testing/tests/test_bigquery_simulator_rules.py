"""What the BigQuery simulator does when it is told to misbehave, and what it tells of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest
import pytest_asyncio
from mirsal_testing.servers.processes import find_process, is_alive
from mirsal_testing.simulators.bigquery import BigQuerySimulator, BigQuerySimulatorClient, Emulator
from pydantic import ValidationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SECONDS = 20.0


class Table:
    """One table by bare HTTP: what the official client would hide is what is tested here."""

    def __init__(self, simulator: BigQuerySimulator) -> None:
        self._datasets = f"/bigquery/v2/projects/{simulator.project}/datasets"
        self._rows = f"{self._datasets}/leads/tables/rows"
        self.http = httpx.AsyncClient(base_url=simulator.url, timeout=SECONDS, trust_env=False)

    async def make(self) -> None:
        reference = {"datasetReference": {"datasetId": "leads"}}
        (await self.http.post(self._datasets, json=reference)).raise_for_status()
        table = {
            "tableReference": {"tableId": "rows"},
            "schema": {"fields": [{"name": "name", "type": "STRING"}]},
        }
        made = await self.http.post(f"{self._datasets}/leads/tables", json=table)
        made.raise_for_status()

    async def insert(self, *names: str) -> httpx.Response:
        rows = [{"insertId": name[:100], "json": {"name": name}} for name in names]
        return await self.http.post(f"{self._rows}/insertAll", json={"rows": rows})

    async def names(self) -> list[str]:
        found = (await self.http.get(f"{self._rows}/data")).json()
        return sorted(row["f"][0]["v"] for row in found.get("rows", []))


@pytest_asyncio.fixture
async def table(bigquery_simulator: BigQuerySimulator) -> AsyncIterator[Table]:
    found = Table(bigquery_simulator)
    await found.make()
    yield found
    await found.http.aclose()


@pytest.mark.parametrize(
    ("reason", "status", "domain"),
    [
        ("rateLimitExceeded", 403, "usageLimits"),
        ("quotaExceeded", 403, "usageLimits"),
        ("accessDenied", 403, "global"),
        ("billingNotEnabled", 403, "global"),
        ("backendError", 503, "global"),
        ("internalError", 500, "global"),
        ("unauthorized", 401, "global"),
    ],
)
async def test_errors_have_googles_body_and_no_effect(
    bigquery_simulator: BigQuerySimulator, table: Table, reason: str, status: int, domain: str
) -> None:
    rule = bigquery_simulator.fail_next(reason, match={"operation": "tabledata.insertAll"})
    answer = await table.insert("a")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, status)
    assert error["errors"][0] == {"message": error["message"], "domain": domain, "reason": reason}
    assert rule.applied == 1
    assert await table.names() == []
    assert (await table.insert("a")).status_code == 200


async def test_a_body_over_ten_megabytes_is_refused(table: Table) -> None:
    answer = await table.insert("x" * 10_485_760)
    assert answer.status_code == 413
    assert answer.json()["error"]["errors"][0]["reason"] == "requestTooLarge"
    # Far over aiohttp's own limit, and Google takes it.
    assert (await table.insert("x" * 5_000_000)).status_code == 200


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_answer_may_be_lost_before_or_after_the_effect(
    bigquery_simulator: BigQuerySimulator, table: Table, when: str
) -> None:
    bigquery_simulator.drop_next(when, match={"operation": "tabledata.insertAll"})
    with pytest.raises(httpx.TransportError):
        await table.insert("a")
    assert await table.names() == (["a"] if when == "after" else [])
    (call,) = [each for each in bigquery_simulator.calls if each.rule_id]
    assert (call.outcome, call.stored) == ("dropped", 1 if when == "after" else 0)


async def test_who_goes_away_during_a_delay_has_inserted_all_the_same(
    bigquery_simulator: BigQuerySimulator, table: Table
) -> None:
    bigquery_simulator.rules.add({"times": 1, "action": {"delayMs": 60_000}})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await table.insert("a")
    assert await table.names() == ["a"]


async def test_single_rows_may_be_refused_for_any_reason(
    bigquery_simulator: BigQuerySimulator, table: Table
) -> None:
    refused = {"contains": "bad", "reason": "backendError", "message": "try again"}
    bigquery_simulator.rules.add({"times": 1, "action": {"rows": refused}})
    errors = (await table.insert("good", "bad")).json()["insertErrors"]
    reasons = {each["index"]: each["errors"][0]["reason"] for each in errors}
    assert reasons == {0: "stopped", 1: "backendError"}
    assert await table.names() == []


async def test_a_rate_limit_counts_each_table_apart(
    bigquery_simulator: BigQuerySimulator, table: Table
) -> None:
    limit = {"perSecond": 0.001, "burst": 2}
    match = {"operation": "tabledata.insertAll"}
    bigquery_simulator.rules.add({"match": match, "action": {"rateLimit": limit}})
    answers = [(await table.insert(name)).status_code for name in "abc"]
    assert answers == [200, 200, 403]


def test_a_rule_that_says_two_things_is_none(tmp_path: Path) -> None:
    simulator = BigQuerySimulator(emulator=Emulator(tmp_path))
    with pytest.raises(ValidationError, match="only one of"):
        simulator.rules.add({"action": {"drop": "after", "hang": True}})


async def test_the_control_api_tells_what_happened(
    bigquery_simulator: BigQuerySimulator, table: Table
) -> None:
    async with BigQuerySimulatorClient(bigquery_simulator.url) as client:
        await client.fail_next("quotaExceeded", match={"table": "rows"})
        await table.insert("a")
        await table.insert("a", "b")
        await client.wait_for_messages(2, seconds=5)
        assert await client.counts() == {"a": 1, "b": 1}
        calls = await client.calls(operation="tabledata.insertAll")
        assert [(each["outcome"], each["reason"], each["stored"]) for each in calls] == [
            ("error", "quotaExceeded", 0),
            ("answered", None, 2),
        ]
        name = f"{bigquery_simulator.project}:leads.rows"
        assert [each["json"] for each in await client.rows(table=name)] == [
            {"name": "a"},
            {"name": "b"},
        ]
        behaviour = await client.behave(dedupeSeconds=0)
        assert behaviour["dedupeSeconds"] == 0
        await table.insert("a")
        assert await client.counts() == {"a": 2, "b": 1}
        await client.reset()
        assert await client.rows() == []


async def test_its_emulator_starts_with_the_first_call_and_ends_with_it(tmp_path: Path) -> None:
    async with BigQuerySimulator(folder=tmp_path) as simulator:
        pid_file = tmp_path / "bigquery-emulator.pid"
        assert find_process(pid_file) is None
        found = Table(simulator)
        await found.make()
        await found.http.aclose()
        emulator = find_process(pid_file)
        assert emulator is not None
    assert not is_alive(emulator)


async def test_an_emulator_that_was_killed_is_started_again(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path)
    await emulator.start()
    first = find_process(tmp_path / "bigquery-emulator.pid")
    assert first is not None
    first.kill()
    while emulator.pid == first.pid:
        await asyncio.sleep(0.02)
    await emulator.start()
    second = find_process(tmp_path / "bigquery-emulator.pid")
    assert second is not None
    assert second.pid != first.pid
    await emulator.stop()
