"""Rows on their way from a lead into a sheet, through the gateway and all services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mirsal_testing.rest import RestClient
    from mirsal_testing.simulators.sheets import SheetsSimulatorClient
    from mirsal_testing.stack import Stack

    from tests.e2e.conftest import People

pytestmark = pytest.mark.e2e


def row_node(spreadsheet_id: str, **more: Any) -> dict[str, Any]:
    config = {
        "operation": "append",
        "spreadsheetId": spreadsheet_id,
        "sheet": "العملاء",
        "values": {
            "الاسم": "{{lead.name}}",
            "Phone": "{{lead.phone}}",
            "City": "{{lead.fields.city}}",
            "Signed up": "{{run.input.at}}",
        },
        "types": {"Signed up": "datetime"},
        **more,
    }
    return {"id": "row", "type": "google_sheets", "config": config}


async def test_a_lead_becomes_a_row_and_the_next_node_sees_where(
    api: RestClient, sheets: SheetsSimulatorClient, people: People
) -> None:
    spreadsheet = await sheets.add_spreadsheet()
    person = await people.make(timeZone="Asia/Dubai")
    noop = {"id": "after", "type": "noop", "config": {"value": "{{nodes.row.output.row}}"}}
    definition = {
        "name": "Rows",
        "nodes": [row_node(spreadsheet), noop],
        "connections": [{"from": "row", "to": "after"}],
    }
    await api.publish("rows", definition)
    given = {"at": "2025-03-05T22:15:00Z"}
    run = await api.wait_for_run(await api.start_run("rows", person.id, run_input=given))
    assert run["status"] == "succeeded", run
    row, after = run["executions"]
    tab = await sheets.tab(spreadsheet, "العملاء", render="FORMATTED_VALUE")
    assert tab.records() == [
        {
            "الاسم": "أحمد محمد",
            "Phone": person.phone,
            "City": "القاهرة",
            "Signed up": "2025-03-06 02:15:00",
            "_mirsal_row_key": row["executionId"],
        }
    ]
    assert row["output"]["place"] == "sheet"
    assert row["output"]["range"] == "'العملاء'!A2:E2"
    assert after["output"] == {"value": "2"}


async def test_rows_of_many_runs_share_a_few_requests(
    api: RestClient, sheets: SheetsSimulatorClient, stack: Stack, people: People
) -> None:
    """While the worker is away commands gather; when it is back they go out together."""
    spreadsheet = await sheets.add_spreadsheet()
    leads = [(await people.make()).id for _ in range(10)]
    values = {"Run": "{{run.id}}", "Name": "{{lead.name}}"}
    node = row_node(spreadsheet, values=values, types={}, sheet="Leads")
    await api.publish("many-rows", {"name": "Rows", "nodes": [node]})
    before = (await sheets.summary())["writes"]
    with stack.held("sheets-worker"):
        runs = [run for _ in range(10) for run in await api.start_runs("many-rows", leads)]
    for run in runs:
        assert (await api.wait_for_run(run))["status"] == "succeeded"
    records = (await sheets.tab(spreadsheet, "Leads")).records()
    assert sorted(str(record["Run"]) for record in records) == sorted(runs)
    assert (await sheets.summary())["writes"] - before <= 12


async def test_a_direct_call_upserts_and_looks_up(
    api: RestClient, sheets: SheetsSimulatorClient, people: People
) -> None:
    spreadsheet = await sheets.add_spreadsheet()
    person = await people.make()
    await api.publish("direct-rows", {"name": "Rows", "nodes": [row_node(spreadsheet)]})

    async def process(**config: Any) -> dict[str, Any]:
        config = {"spreadsheetId": spreadsheet, "sheet": "Leads", **config}
        body = {
            "leadId": person.id,
            "workflowId": "direct-rows",
            "nodeId": "direct",
            "config": config,
        }
        path = "/google-sheets/process"
        started = await api.call("POST", path, json=body)
        run = await api.wait_for_run(started["runId"])
        (execution,) = run["executions"]
        assert execution["status"] == "succeeded", execution
        output: dict[str, Any] = execution["output"]
        return output

    values = {"Phone": "{{lead.phone}}", "City": "{{lead.fields.city}}"}
    first = await process(operation="upsert", keyColumn="Phone", values=values)
    values["City"] = "دبي"
    again = await process(operation="upsert", keyColumn="Phone", values=values)
    found = await process(operation="lookup", keyColumn="Phone", keyValue="{{lead.phone}}")
    assert first["row"] == again["row"] == found["row"] == 2
    assert found["rows"] == [{"Phone": person.phone, "City": "دبي"}]


async def test_a_sheet_that_is_not_shared_waits_for_a_person(
    api: RestClient, sheets: SheetsSimulatorClient, people: People
) -> None:
    spreadsheet = await sheets.add_spreadsheet()
    await sheets.set_access(spreadsheet, "none")
    person = await people.make()
    await api.publish("not-shared", {"name": "Rows", "nodes": [row_node(spreadsheet)]})
    run_id = await api.start_run("not-shared", person.id, run_input={"at": "2025-03-05"})
    run = await api.wait_for_run(run_id)
    (execution,) = run["executions"]
    assert (run["status"], execution["status"]) == ("paused", "waiting")
    assert execution["error"]["code"] == "sheets_no_permission"
