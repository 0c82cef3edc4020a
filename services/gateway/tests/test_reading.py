"""Runs, executions and logs, read through the orchestrator's own views."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
import time_machine
from gateway.issued_ids import FRESH_SECONDS, IdIssuer, new_stem

from services.gateway.tests.conftest import Gateway

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
RUN = "/api/automation/run/{}"
STATUS = "/api/automation/execution/{}/status"
LOGS = "/api/automation/workflow/welcome/logs"


async def add_run(gateway: Gateway, **changes: Any) -> str:
    """Write a run as the orchestrator would; its id."""
    row = {
        "id": uuid4(),
        "workspace": gateway.workspace,
        "workflow_id": "welcome",
        "version": 3,
        "lead_id": "ahmed",
        "status": "succeeded",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "created_at": NOON,
        "ended_at": NOON,
        **changes,
    }
    await gateway.sql.execute(
        "INSERT INTO orchestrator.runs (id, workspace, workflow_id, version, lead_id, status, "
        "traceparent, created_at, ended_at, updated_at, request, state) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $8, '{}', '{}')",
        *row.values(),
    )
    return str(row["id"])


async def add_execution(gateway: Gateway, **changes: Any) -> str:
    """Write an execution as the orchestrator would; its id."""
    row = {
        "id": uuid4(),
        "execution_id": str(uuid4()),
        "workspace": gateway.workspace,
        "run_id": uuid4(),
        "workflow_id": "welcome",
        "lead_id": "ahmed",
        "node_id": "mail",
        "connector_type": "email",
        "status": "succeeded",
        "retry_count": 1,
        "start_time": NOON,
        "end_time": NOON + timedelta(milliseconds=250),
        "duration_ms": 250,
        "error_details": None,
        "output_data": {"messageId": "x"},
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "created_at": NOON,
        **changes,
    }
    names = ", ".join(row)
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    await gateway.sql.execute(
        f"INSERT INTO orchestrator.execution_logs ({names}) VALUES ({places})",  # noqa: S608 - the names above
        *row.values(),
    )
    return str(row["execution_id"])


async def test_a_run_reads_with_its_executions_in_order(gateway: Gateway) -> None:
    run_id = await add_run(gateway)
    later = NOON + timedelta(seconds=1)
    await add_execution(gateway, run_id=run_id, node_id="chat", created_at=later)
    await add_execution(gateway, run_id=run_id, node_id="mail")
    await add_execution(gateway, node_id="stranger")
    answer = await gateway.client.get(RUN.format(run_id))
    assert answer.status_code == 200
    run = answer.json()
    assert [each["nodeId"] for each in run.pop("executions")] == ["mail", "chat"]
    assert run == {
        "runId": run_id,
        "workflowId": "welcome",
        "version": 3,
        "leadId": "ahmed",
        "status": "succeeded",
        "error": None,
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
        "createdAt": "2026-11-22T12:00:00Z",
        "updatedAt": "2026-11-22T12:00:00Z",
        "endedAt": "2026-11-22T12:00:00Z",
        "requestedBy": None,
    }


async def test_a_run_tells_who_started_it(gateway: Gateway) -> None:
    run_id = await add_run(gateway)
    by = {"kind": "token", "id": "jwt:sara", "name": "sara"}
    request = orjson.dumps({"input": {}, "requestedBy": by, "lead": {}}).decode()
    await gateway.sql.execute(
        "UPDATE orchestrator.runs SET request = $2 WHERE id = $1", run_id, request
    )
    assert (await gateway.client.get(RUN.format(run_id))).json()["requestedBy"] == by


async def test_an_execution_has_the_shape_that_clients_know(gateway: Gateway) -> None:
    run_id = uuid4()
    execution_id = await add_execution(gateway, run_id=run_id)
    answer = await gateway.client.get(STATUS.format(execution_id))
    assert answer.status_code == 200
    found = answer.json()
    assert found.pop("updatedAt")
    assert found == {
        "executionId": execution_id,
        "runId": str(run_id),
        "workflowId": "welcome",
        "nodeId": "mail",
        "leadId": "ahmed",
        "connectorType": "email",
        "status": "succeeded",
        "retryCount": 1,
        "maxRetries": 3,
        "startTime": "2026-11-22T12:00:00Z",
        "endTime": "2026-11-22T12:00:00.250000Z",
        "durationMs": 250,
        "output": {"messageId": "x"},
        "error": None,
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
        "createdAt": "2026-11-22T12:00:00Z",
    }


async def test_what_is_of_another_workspace_is_not_there(gateway: Gateway) -> None:
    run_id = await add_run(gateway)
    execution_id = await add_execution(gateway)
    headers = {"x-api-key": await gateway.add_key("another")}
    for path in (RUN.format(run_id), STATUS.format(execution_id)):
        assert (await gateway.client.get(path)).status_code == 200
        assert (await gateway.client.get(path, headers=headers)).status_code == 404


@pytest.mark.parametrize(
    "name",
    ["nonsense", str(uuid4()), "a%00b", "%F0%9F", "'; DROP TABLE runs"],
    ids=["a word", "an id", "a NUL", "half a sign", "SQL"],
)
async def test_an_unknown_id_is_404(gateway: Gateway, name: str) -> None:
    for path in (RUN, STATUS):
        assert (await gateway.client.get(path.format(name))).status_code == 404


async def test_an_id_just_issued_reads_queued_and_later_404(gateway: Gateway) -> None:
    issuer = IdIssuer(gateway.settings.id_secret)
    stem = new_stem()
    run_id = issuer.name("run", gateway.workspace, stem)
    execution_id = issuer.name("execution", gateway.workspace, stem)
    foreign = issuer.name("run", "another", stem)
    run = await gateway.client.get(RUN.format(run_id))
    assert (run.status_code, run.json()["status"], run.json()["executions"]) == (200, "queued", [])
    execution = await gateway.client.get(STATUS.format(execution_id))
    assert (execution.status_code, execution.json()["status"]) == (200, "queued")
    for path in (RUN.format(foreign), RUN.format(execution_id), STATUS.format(run_id)):
        assert (await gateway.client.get(path)).status_code == 404
    with time_machine.travel(time.time() + FRESH_SECONDS + 5, tick=True):
        for path in (RUN.format(run_id), STATUS.format(execution_id)):
            assert (await gateway.client.get(path)).status_code == 404


async def test_an_old_id_that_was_handed_out_again_reads_queued(gateway: Gateway) -> None:
    """A call that is repeated an hour later with its key gets the id of then."""
    await gateway.put_welcome()
    with time_machine.travel(time.time() - 3_600, tick=True):
        headers = {"idempotency-key": "k"}
        path = "/api/automation/workflow/welcome/run"
        old = await gateway.client.post(path, json={"leadIds": ["ahmed"]}, headers=headers)
    (run_id,) = old.json()["runIds"]
    await gateway.sql.execute(
        "UPDATE gateway.idempotency_keys SET issued_at = now() - interval '1 hour' "
        "WHERE workspace = $1",
        gateway.workspace,
    )
    assert (await gateway.client.get(RUN.format(run_id))).status_code == 404
    again = await gateway.client.post(path, json={"leadIds": ["ahmed"]}, headers=headers)
    assert again.json()["runIds"] == [run_id]
    run = await gateway.client.get(RUN.format(run_id))
    assert (run.status_code, run.json()["status"]) == (200, "queued")


async def test_a_row_is_told_rather_than_queued(gateway: Gateway) -> None:
    issuer = IdIssuer(gateway.settings.id_secret)
    run_id = issuer.name("run", gateway.workspace, new_stem())
    await add_run(gateway, id=run_id, status="failed")
    assert (await gateway.client.get(RUN.format(run_id))).json()["status"] == "failed"


async def read_all(gateway: Gateway, query: str, *, write_between: bool = False) -> list[str]:
    """The node ids of all pages."""
    seen: list[str] = []
    cursor = ""
    while True:
        answer = await gateway.client.get(f"{LOGS}?{query}{cursor}")
        assert answer.status_code == 200, answer.text
        page = answer.json()
        seen += [each["nodeId"] for each in page["items"]]
        if page["nextCursor"] is None:
            return seen
        cursor = f"&cursor={page['nextCursor']}"
        if write_between:
            await add_execution(gateway, node_id="early", created_at=NOON - timedelta(days=1))


async def test_pages_hold_each_execution_once_whatever_is_written(gateway: Gateway) -> None:
    await gateway.put_welcome()
    # Several share a moment: the id decides between them.
    for number in range(9):
        moment = NOON + timedelta(seconds=number // 4)
        await add_execution(gateway, node_id=f"n{number}", created_at=moment)
    whole = await read_all(gateway, "limit=200")
    assert sorted(whole) == [f"n{number}" for number in range(9)]
    assert [int(name[1]) // 4 for name in whole] == [0, 0, 0, 0, 1, 1, 1, 1, 2]
    assert await read_all(gateway, "limit=2", write_between=True) == whole


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("leadId=sara", ["b"]),
        ("status=failed", ["c"]),
        ("connectorType=whatsapp", ["b", "c"]),
        ("connectorType=whatsapp&status=failed", ["c"]),
        ("createdAfter=2026-11-22T12:00:01Z", ["b", "c"]),
        ("createdBefore=2026-11-22T12:00:01Z", ["a"]),
        ("createdAfter=2026-11-22T15:00:01%2B03:00&createdBefore=2026-11-22T12:00:02Z", ["b"]),
        ("runId=00000000-0000-4000-8000-000000000001", ["a"]),
        ("leadId=nobody", []),
    ],
)
async def test_logs_are_filtered(gateway: Gateway, query: str, expected: list[str]) -> None:
    await gateway.put_welcome()
    first = "00000000-0000-4000-8000-000000000001"
    second = timedelta(seconds=1)
    chat = {"connector_type": "whatsapp"}
    await add_execution(gateway, node_id="a", run_id=first)
    await add_execution(gateway, node_id="b", lead_id="sara", created_at=NOON + second, **chat)
    await add_execution(gateway, node_id="c", status="failed", created_at=NOON + 2 * second, **chat)
    await add_execution(gateway, node_id="d", workflow_id="other")
    assert await read_all(gateway, query) == expected


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("status=done", "status"),
        ("runId=7", "runId"),
        ("leadId=%00", "leadId"),
        ("connectorType=%00", "connectorType"),
        ("createdAfter=yesterday", "createdAfter"),
        ("createdAfter=2026-11-22T12:00:01", "createdAfter"),
        ("createdAfter=0001-01-01T00:00:00%2B14:00", "createdAfter"),
        ("createdBefore=9999-12-31T23:59:59-12:00", "createdBefore"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("cursor=odd", "cursor"),
        ("cursor=MS9h", "cursor"),
    ],
)
async def test_a_wrong_filter_is_named(gateway: Gateway, query: str, parameter: str) -> None:
    await gateway.put_welcome()
    answer = await gateway.client.get(f"{LOGS}?{query}")
    assert answer.status_code == 422
    assert [each["parameter"] for each in answer.json()["errors"]] == [parameter]


async def test_what_only_looks_sealed_is_shown_as_it_is_and_hides_nothing(gateway: Gateway) -> None:
    """A connector's answer that is shaped like what Mirsal seals, by chance or on purpose."""
    await gateway.put_welcome()
    key_id = await gateway.sql.fetchval(
        "SELECT id::text FROM gateway.lead_keys WHERE workspace = $1", gateway.workspace
    )
    forged = {"$sealed": {"key": key_id, "text": "AAAA"}}
    later = NOON + timedelta(seconds=1)
    odd = await add_execution(gateway, node_id="odd", output_data=forged)
    wrong = {"code": "x", "message": "m", "details": forged}
    await add_execution(gateway, node_id="wrong", error_details=wrong, created_at=later)
    await add_execution(gateway, node_id="plain", created_at=later + timedelta(seconds=1))
    assert await read_all(gateway, "limit=200") == ["odd", "wrong", "plain"]
    items = (await gateway.client.get(LOGS)).json()["items"]
    assert (items[0]["output"], items[1]["error"]) == (forged, wrong)
    assert (await gateway.client.get(STATUS.format(odd))).json()["output"] == forged
