"""Starting runs: what is answered, and what reaches Kafka."""

import asyncio
from typing import Any

import pytest
from gateway.auth.service import REMEMBER_SECONDS
from gateway.runs.store import StartStore
from gateway.store import open_database
from mirsal_contracts.ids import command_id_of
from mirsal_contracts.requests import Requester

from services.gateway.tests.conftest import AHMED, WELCOME, Gateway, MakeSettings, open_gateway

RUN = "/api/automation/workflow/welcome/run"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def put_leads(gateway: Gateway, *names: str) -> None:
    """Save leads by these ids."""
    for name in names:
        await gateway.client.put(f"/api/automation/lead/{name}", json={"name": name})


async def requester_of(gateway: Gateway) -> Requester:
    """The caller, as runs tell of it."""
    key_id = await gateway.sql.fetchval(
        "SELECT id::text FROM gateway.api_keys WHERE workspace = $1", gateway.workspace
    )
    return Requester(kind="key", id=key_id, name="tests")


async def test_the_request_carries_all_that_the_run_needs(gateway: Gateway) -> None:
    await gateway.put_welcome()
    await gateway.client.put("/api/automation/workflow/welcome", json={**WELCOME, "name": "Two"})
    answer = await gateway.client.post(
        RUN, json={"leadId": "ahmed", "input": {"n": 7}}, headers={"traceparent": TRACE}
    )
    assert answer.status_code == 202
    body = answer.json()
    assert body["status"] == "queued"
    assert answer.headers["location"] == body["statusUrl"] == f"/api/automation/run/{body['runId']}"
    (found,) = await gateway.find_requests(body["runId"])
    request = found.request
    assert found.key == request.run_id == body["runId"]
    assert (request.workspace, request.workflow_id) == (gateway.workspace, "welcome")
    assert request.version == 2
    assert [node.id for node in request.graph.nodes] == ["mail", "chat"]
    assert request.graph.connections[0].source == "mail"
    assert request.lead.id == "ahmed"
    assert request.lead.name == AHMED["name"]
    assert request.lead.fields == AHMED["fields"]
    assert (request.lead.consent.email, request.lead.consent.whatsapp) == (True, None)
    assert request.input == {"n": 7}
    assert request.requested_by == await requester_of(gateway)
    assert request.execution_id is None
    envelope = found.envelope
    assert envelope.type == "mirsal.run.requested.v1"
    assert envelope.subject == envelope.id == body["runId"]
    assert (envelope.workspace, envelope.workflow_id) == (gateway.workspace, "welcome")
    assert envelope.traceparent[3:35] == TRACE[3:35]


@pytest.mark.parametrize("given", ["", "nonsense", "00-" + "0" * 32 + "-00f067aa0ba902b7-01"])
async def test_a_run_without_a_trace_gets_one(gateway: Gateway, given: str) -> None:
    await gateway.put_welcome()
    answer = await gateway.client.post(
        RUN, json={"leadId": "ahmed"}, headers={"traceparent": given}
    )
    (found,) = await gateway.find_requests(answer.json()["runId"])
    assert len(found.envelope.traceparent) == 55
    assert found.envelope.traceparent != given


async def test_many_leads_start_as_many_runs(gateway: Gateway) -> None:
    await gateway.put_welcome()
    by = await requester_of(gateway)
    names = [f"l{number}" for number in range(20)]
    await put_leads(gateway, *names)
    answer = await gateway.client.post(RUN, json={"leadIds": names, "input": {"n": 1}})
    assert answer.status_code == 202
    run_ids = answer.json()["runIds"]
    assert len(set(run_ids)) == 20
    found = {each.request.run_id: each for each in await gateway.find_requests(*run_ids)}
    assert [found[run_id].request.lead.id for run_id in run_ids] == names
    assert {found[run_id].request.requested_by for run_id in run_ids} == {by}
    assert len({each.envelope.traceparent[3:35] for each in found.values()}) == 20
    for run_id in run_ids:
        run = (await gateway.client.get(f"/api/automation/run/{run_id}")).json()
        assert run["status"] == "queued"


async def test_a_direct_call_is_a_run_of_one_node(gateway: Gateway) -> None:
    await gateway.put_welcome()
    config = {"text": "Hi {{lead.name}}"}
    body = {"leadId": "ahmed", "config": config, "workflowId": "welcome", "nodeId": "direct"}
    answer = await gateway.client.post("/api/automation/whatsapp/send", json=body)
    assert answer.status_code == 202, answer.text
    started = answer.json()
    assert started["statusUrl"] == f"/api/automation/execution/{started['executionId']}/status"
    assert answer.headers["location"] == started["statusUrl"]
    (found,) = await gateway.find_requests(started["runId"])
    assert found.request.version == 0
    assert found.request.requested_by == await requester_of(gateway)
    assert found.request.execution_id == found.envelope.execution_id == started["executionId"]
    (node,) = found.request.graph.nodes
    assert (node.id, node.type, node.config) == ("direct", "whatsapp", config)
    assert command_id_of(started["executionId"], 1).startswith(started["executionId"])
    state = (await gateway.client.get(started["statusUrl"])).json()
    assert (state["status"], state["runId"]) == ("queued", started["runId"])
    assert state.keys() >= {
        "executionId", "runId", "workflowId", "nodeId", "leadId", "connectorType", "status",
        "retryCount", "maxRetries", "startTime", "endTime", "durationMs", "output", "error",
        "traceId",
    }  # fmt: skip


async def test_a_row_for_a_sheet(gateway: Gateway) -> None:
    await gateway.put_welcome()
    config = {
        "operation": "append",
        "spreadsheetId": "1Bx",
        "sheet": "العملاء",
        "values": {"الاسم": "{{lead.name}}", "Score": 7},
    }
    body = {"leadId": "ahmed", "config": config, "workflowId": "welcome", "nodeId": "row"}
    answer = await gateway.client.post("/api/automation/google-sheets/process", json=body)
    assert answer.status_code == 202, answer.text
    (found,) = await gateway.find_requests(answer.json()["runId"])
    (node,) = found.request.graph.nodes
    assert (node.type, node.config) == ("google_sheets", config)
    del config["values"]
    refused = await gateway.client.post("/api/automation/google-sheets/process", json=body)
    assert refused.status_code == 422
    assert "append needs values" in refused.text


async def test_the_newest_version_starts_wherever_it_was_saved(
    gateway: Gateway, make_settings: MakeSettings
) -> None:
    await gateway.put_welcome()
    async with open_gateway(make_settings()) as other:
        headers = {"x-api-key": gateway.key}
        for number in range(2, 6):
            changed = {**WELCOME, "description": str(number)}
            path = "/api/automation/workflow/welcome"
            await other.client.put(path, json=changed, headers=headers)
            answer = await gateway.client.post(RUN, json={"leadId": "ahmed"})
            (found,) = await gateway.find_requests(answer.json()["runId"])
            assert found.request.version == number


async def test_a_repeated_call_starts_the_same_run(gateway: Gateway) -> None:
    await gateway.put_welcome()
    headers = {"idempotency-key": "order-1"}
    answers = await asyncio.gather(
        *(gateway.client.post(RUN, json={"leadId": "ahmed"}, headers=headers) for _ in range(8))
    )
    bodies = [answer.json() for answer in answers]
    assert {answer.status_code for answer in answers} == {202}
    assert all(body == bodies[0] for body in bodies)
    reordered = b'{ "input" : {}, "leadId":"ahmed"}'
    other = await gateway.client.post(RUN, content=reordered, headers=headers)
    assert other.status_code == 422
    assert other.json()["errors"][0]["parameter"] == "Idempotency-Key"
    spaced = await gateway.client.post(RUN, content=b'{ "leadId" : "ahmed" }', headers=headers)
    assert spaced.json() == bodies[0]


async def test_a_repeated_bulk_start_starts_the_same_runs(gateway: Gateway) -> None:
    await gateway.put_welcome()
    await put_leads(gateway, "a", "b", "c")
    headers = {"idempotency-key": "bulk-1"}
    body = {"leadIds": ["a", "b", "c"]}
    first = (await gateway.client.post(RUN, json=body, headers=headers)).json()
    again = (await gateway.client.post(RUN, json=body, headers=headers)).json()
    assert first == again
    turned = await gateway.client.post(RUN, json={"leadIds": ["c", "b", "a"]}, headers=headers)
    assert turned.status_code == 422


async def test_a_key_belongs_to_its_workspace_and_route(gateway: Gateway) -> None:
    await gateway.put_welcome()
    other_key = await gateway.add_key(f"{gateway.workspace}-2")
    own = {"idempotency-key": "k"}
    theirs = {**own, "x-api-key": other_key}
    await gateway.client.put("/api/automation/workflow/welcome", json=WELCOME, headers=theirs)
    await gateway.client.put("/api/automation/lead/ahmed", json=AHMED, headers=theirs)
    first = await gateway.client.post(RUN, json={"leadId": "ahmed"}, headers=own)
    second = await gateway.client.post(RUN, json={"leadId": "ahmed"}, headers=theirs)
    assert first.json()["runId"] != second.json()["runId"]
    direct: dict[str, Any] = {
        "leadId": "ahmed", "config": {"text": "x"}, "workflowId": "welcome", "nodeId": "n"
    }  # fmt: skip
    third = await gateway.client.post("/api/automation/whatsapp/send", json=direct, headers=own)
    assert third.status_code == 202
    again = await gateway.client.post("/api/automation/whatsapp/send", json=direct, headers=own)
    assert again.json() == third.json()


@pytest.mark.parametrize("key", ["", "x" * 256, "ключ"])
async def test_a_key_has_a_form(gateway: Gateway, key: str) -> None:
    await gateway.put_welcome()
    answer = await gateway.client.post(
        RUN, json={"leadId": "ahmed"}, headers=[(b"idempotency-key", key.encode())]
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == "Idempotency-Key"


async def test_a_refused_call_uses_up_no_key(gateway: Gateway) -> None:
    await gateway.put_welcome()
    headers = {"idempotency-key": "k"}
    refused = await gateway.client.post(RUN, json={"leadId": "nobody"}, headers=headers)
    assert refused.status_code == 404
    accepted = await gateway.client.post(RUN, json={"leadId": "ahmed"}, headers=headers)
    assert accepted.status_code == 202


async def test_old_keys_are_forgotten_and_used_ones_kept(gateway: Gateway) -> None:
    await gateway.put_welcome()
    for key in ("old", "used"):
        await gateway.client.post(RUN, json={"leadId": "ahmed"}, headers={"idempotency-key": key})
    await gateway.sql.execute(
        "UPDATE gateway.idempotency_keys SET created_at = now() - interval '3 days', "
        "issued_at = now() - interval '3 days' WHERE workspace = $1",
        gateway.workspace,
    )
    await gateway.client.post(RUN, json={"leadId": "ahmed"}, headers={"idempotency-key": "used"})
    async with open_database(gateway.settings, purpose="tests", size=1) as database:
        assert await StartStore(database).forget_keys() is False
    kept = await gateway.sql.fetch(
        "SELECT key FROM gateway.idempotency_keys WHERE workspace = $1", gateway.workspace
    )
    assert [row["key"] for row in kept] == ["used"]


async def test_a_revoked_key_is_let_in_for_a_moment_at_most(gateway: Gateway) -> None:
    assert (await gateway.client.get("/api/automation/leads")).status_code == 200
    await gateway.sql.execute(
        "UPDATE gateway.api_keys SET revoked_at = now() WHERE workspace = $1", gateway.workspace
    )
    await asyncio.sleep(REMEMBER_SECONDS)
    assert (await gateway.client.get("/api/automation/leads")).status_code == 401
