"""Cancel, retry and decide over REST: what is published, once, and what is refused at sight."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from gateway.issued_ids import IdIssuer, new_stem
from mirsal_contracts.controls import CancelRun, ResolveExecution, RetryRun

from services.gateway.tests.conftest import Gateway
from services.gateway.tests.test_reading import NOON, add_execution, add_run

CANCEL = "/api/automation/run/{}/cancel"
RETRY = "/api/automation/run/{}/retry"
DECIDE = "/api/automation/execution/{}/decision"
PAUSED: dict[str, Any] = {"status": "paused", "ended_at": None}


async def test_a_cancel_is_published_under_the_runs_key_once(gateway: Gateway) -> None:
    run_id = await add_run(gateway, **PAUSED)
    headers = {"idempotency-key": f"k-{run_id}"}
    first = await gateway.client.post(CANCEL.format(run_id), headers=headers)
    assert first.status_code == 202, first.text
    assert first.headers["location"] == f"/api/automation/run/{run_id}"
    await gateway.sql.execute(
        "UPDATE orchestrator.runs SET status = 'cancelled', ended_at = now() WHERE id = $1", run_id
    )
    again = await gateway.client.post(CANCEL.format(run_id), headers=headers)
    assert again.json() == first.json(), "a repeat is no other wish, and no conflict"
    found = await gateway.find_controls(run_id, 2)
    assert {each["controlId"] for each in found} == {first.json()["controlId"]}
    message = CancelRun.model_validate(found[0])
    assert found[0]["type"] == CancelRun.TYPE
    assert (message.workspace, message.requested_by) == (gateway.workspace, "tests")
    other = await gateway.client.post(CANCEL.format(run_id))
    assert (other.status_code, other.json()["detail"]) == (409, "The run is cancelled.")


async def test_what_was_refused_is_refused_again_with_its_key(gateway: Gateway) -> None:
    """A refused call takes no key: else its repeat would pass for one that was accepted."""
    run_id = await add_run(gateway, status="failed", ended_at=NOON - timedelta(days=365))
    execution = await add_execution(gateway, run_id=run_id, status="succeeded")
    calls = [
        (RETRY.format(run_id), None),
        (CANCEL.format(run_id), None),
        (DECIDE.format(execution), {"verdict": "resend"}),
    ]
    before = await gateway.count_requests()
    for path, body in calls:
        for _ in range(2):
            answer = await gateway.client.post(path, json=body, headers={"idempotency-key": "k"})
            assert answer.status_code == 409, (path, answer.text)
    assert await gateway.count_requests() == before
    await gateway.sql.execute(
        "UPDATE orchestrator.runs SET status = 'paused', ended_at = NULL WHERE id = $1", run_id
    )
    accepted = await gateway.client.post(calls[1][0], headers={"idempotency-key": "k"})
    assert accepted.status_code == 202


async def test_a_run_that_has_no_row_yet_can_be_cancelled(gateway: Gateway) -> None:
    run_id = IdIssuer(gateway.settings.id_secret).name("run", gateway.workspace, new_stem())
    assert (await gateway.client.post(CANCEL.format(run_id))).status_code == 202
    assert (await gateway.client.post(RETRY.format(run_id))).status_code == 409


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"status": "failed", "ended_at": "now"}, 202),
        ({"status": "cancelled", "ended_at": "now"}, 202),
        ({"status": "succeeded", "ended_at": "now"}, 409),
        (PAUSED, 409),
        ({"status": "failed", "ended_at": NOON - timedelta(days=365)}, 409),
    ],
)
async def test_only_what_failed_lately_or_was_cancelled_is_retried(
    gateway: Gateway, changes: dict[str, Any], status: int
) -> None:
    if changes["ended_at"] == "now":
        changes = {**changes, "ended_at": await gateway.sql.fetchval("SELECT now()")}
    run_id = await add_run(gateway, **changes)
    answer = await gateway.client.post(RETRY.format(run_id))
    assert answer.status_code == status, answer.text
    if status == 202:
        (found,) = await gateway.find_controls(run_id)
        assert found["type"] == RetryRun.TYPE


async def test_a_decision_names_the_attempt_that_was_seen(gateway: Gateway) -> None:
    run_id = await add_run(gateway, status="unconfirmed", ended_at=None)
    execution_id = await add_execution(gateway, run_id=run_id, status="unconfirmed", attempt=3)
    answer = await gateway.client.post(DECIDE.format(execution_id), json={"verdict": "resend"})
    assert answer.status_code == 202, answer.text
    (found,) = await gateway.find_controls(run_id)
    message = ResolveExecution.model_validate(found)
    assert (message.execution_id, message.attempt, message.verdict) == (execution_id, 3, "resend")


@pytest.mark.parametrize(
    ("status", "beside", "verdict", "answer"),
    [
        ("waiting", "queued", "give_up", 202),
        ("unconfirmed", "succeeded", "resend", 202),
        ("unconfirmed", "failed", "sent", 202),
        ("unconfirmed", "failed", "resend", 409),
        ("succeeded", "queued", "sent", 409),
        ("queued", "queued", "resend", 409),
        ("unconfirmed", "queued", "perhaps", 422),
    ],
)
async def test_what_is_not_in_doubt_is_not_decided(
    gateway: Gateway, status: str, beside: str, verdict: str, answer: int
) -> None:
    run_id = await add_run(gateway, **PAUSED)
    # Why a run rests is its error, too: only a failed execution says that it is failing.
    await gateway.sql.execute(
        "UPDATE orchestrator.runs SET error = $2 WHERE id = $1", run_id, {"code": "answer_lost"}
    )
    await add_execution(gateway, run_id=run_id, node_id="beside", status=beside)
    execution_id = await add_execution(gateway, run_id=run_id, status=status)
    told = await gateway.client.post(DECIDE.format(execution_id), json={"verdict": verdict})
    assert told.status_code == answer, told.text


async def test_what_is_of_another_workspace_or_unknown_is_404(gateway: Gateway) -> None:
    run_id = await add_run(gateway, **PAUSED)
    execution_id = await add_execution(gateway, run_id=run_id, status="unconfirmed")
    stranger = {"x-api-key": await gateway.add_key("another")}
    for path, body in (
        (CANCEL.format(run_id), None),
        (RETRY.format(run_id), None),
        (DECIDE.format(execution_id), {"verdict": "sent"}),
    ):
        foreign = await gateway.client.post(path, json=body, headers=stranger)
        assert foreign.status_code == 404
        unknown = path.replace(run_id, str(uuid4())).replace(execution_id, str(uuid4()))
        assert (await gateway.client.post(unknown, json=body)).status_code == 404
