"""Who is granted some workflows only: the others are to them as if they did not exist."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from gateway.audit.entries import Origin
from gateway.audit.refusals import EVERY_SECONDS, MOST_KINDS, Refusals
from gateway.auth.access import Role
from gateway.auth.schemas import Principal
from gateway.issued_ids import IdIssuer, new_stem
from gateway.paging import Cursor
from gateway.runs.stream import tell_changes

from services.gateway.tests.conftest import AHMED, WELCOME, Gateway, MakeSettings, open_gateway
from services.gateway.tests.issuers import AUDIENCE, FIRST, ISSUER, issue, key_set
from services.gateway.tests.test_reading import add_execution, add_run

KEYS = "/api/automation/keys"
KEY = "/api/automation/key/"
WORKFLOW = "/api/automation/workflow/"


@pytest.fixture
async def owner(gateway: Gateway) -> Gateway:
    """The gateway, called by an owner; with two workflows and a lead."""
    gateway.client.headers["x-api-key"] = await gateway.add_key(gateway.workspace, role=Role.OWNER)
    for workflow_id in ("mine", "other"):
        saved = await gateway.client.put(WORKFLOW + workflow_id, json=WELCOME)
        assert saved.status_code == 201
    assert (await gateway.client.put("/api/automation/lead/ahmed", json=AHMED)).is_success
    return gateway


def calls_of(workflow_id: str) -> list[tuple[str, str, Any]]:
    """Every kind of call that names a workflow."""
    path = WORKFLOW + workflow_id
    mail = {
        "leadId": "ahmed", "workflowId": workflow_id, "nodeId": "n",
        "config": {"subject": "s", "body": "b"},
    }  # fmt: skip
    return [
        ("GET", path, None),
        ("PUT", path, WELCOME),
        ("GET", path + "/versions", None),
        ("GET", path + "/versions/1", None),
        ("GET", path + "/logs", None),
        ("POST", path + "/run", {"leadId": "ahmed"}),
        ("POST", "/api/automation/email/send", mail),
    ]


async def test_a_workflow_that_is_not_granted_is_as_if_it_were_not(owner: Gateway) -> None:
    granted = ["mine", "later"]
    headers = {
        "x-api-key": await owner.add_key(owner.workspace, role=Role.OWNER, workflow_ids=granted)
    }
    before = await owner.count_requests()
    bodies = set()
    for workflow_id in ("mine", "other", "none"):
        for method, path, body in calls_of(workflow_id):
            answer = await owner.client.request(method, path, json=body, headers=headers)
            if workflow_id == "mine":
                assert answer.is_success, answer.text
            else:
                assert answer.status_code == 403, (method, path, answer.text)
                bodies.add(answer.content)
    assert len(bodies) == 1, "the answer tells which workflows there are"
    assert await owner.count_requests() == before + 2
    check = {"workflowId": "other", "language": "python", "code": "x = 1"}
    answer = await owner.client.post("/api/automation/code/check", json=check, headers=headers)
    assert answer.status_code == 403

    listed = await owner.client.get("/api/automation/workflows", headers=headers)
    assert [each["workflowId"] for each in listed.json()["items"]] == ["mine"]
    created = await owner.client.post("/api/automation/workflow", json=WELCOME, headers=headers)
    assert created.content in bodies
    later = await owner.client.put(WORKFLOW + "later", json=WELCOME, headers=headers)
    assert later.status_code == 201


async def test_who_is_held_to_some_workflows_changes_nothing_that_all_use(owner: Gateway) -> None:
    """Whose account takes the place of another's gets what all workflows send by it."""
    account = {"account": {"type": "smtp", "host": "smtp.example.com", "from": "a@b.example"}}
    address = {"channel": "email", "address": "sara@example.com"}
    calls: list[tuple[str, str, Any]] = [
        ("PUT", "/api/automation/credential/support", account),
        ("POST", "/api/automation/credential/support/check", None),
        ("DELETE", "/api/automation/credential/support", None),
        ("GET", "/api/automation/audit", None),
        ("POST", "/api/automation/suppressions", address),
        ("POST", "/api/automation/suppressions/import", {"items": [address]}),
        ("PUT", "/api/automation/sending/email", {"onlyListed": True}),
    ]
    key = await owner.add_key(owner.workspace, role=Role.OWNER, workflow_ids=["mine"])
    for method, path, body in calls:
        answer = await owner.client.request(method, path, json=body, headers={"x-api-key": key})
        assert answer.status_code == 403, path
        assert answer.json()["error"] == "Access denied"
        allowed = await owner.client.request(method, path, json=body)
        assert allowed.is_success, allowed.text


async def test_the_audit_log_tells_of_refused_calls_and_is_not_filled_by_them(
    owner: Gateway,
) -> None:
    key = await owner.add_key(owner.workspace, role=Role.VIEWER)
    for _ in range(5):
        for method, path, body in (
            ("GET", "/api/automation/keys", None),
            ("PUT", WORKFLOW + "mine", WELCOME),
            ("POST", WORKFLOW + "none/run", {"leadId": "ahmed"}),
        ):
            headers = {"x-api-key": key}
            answer = await owner.client.request(method, path, json=body, headers=headers)
            assert answer.status_code == 403
    for path in ("none", "none/logs?limit=x"):
        foreign = await owner.client.get(WORKFLOW + path)
        assert foreign.status_code == 403
    rows: list[dict[str, Any]] = []
    async with asyncio.timeout(20):
        while len(rows) < 5:
            page = await owner.client.get("/api/automation/audit?action=access.refused")
            rows = page.json()["items"]
    told = {(row["objectId"], row["actor"]["name"]) for row in rows}
    assert told == {
        ("GET /api/automation/keys", "tests"),
        ("PUT /api/automation/workflow/{workflowId}", "tests"),
        ("POST /api/automation/workflow/{workflowId}/run", "tests"),
        ("GET /api/automation/workflow/{workflowId}", "tests"),
        ("GET /api/automation/workflow/{workflowId}/logs", "tests"),
    }
    assert len(rows) == 5


def test_what_was_left_out_is_told_a_minute_later() -> None:
    now = [0.0]
    refusals, origin = Refusals(lambda: now[0]), Origin("w", "key", "k", "n", "192.0.2.1")
    first = [refusals.describe(origin, "GET /x") for _ in range(4)]
    assert [each is not None for each in first] == [True, False, False, False]
    assert refusals.describe(origin._replace(actor_id="other"), "GET /x") is not None
    now[0] = EVERY_SECONDS + 1
    again = refusals.describe(origin, "GET /x")
    assert again is not None
    assert again.after == {"leftOut": 3}
    kinds = [refusals.describe(origin, f"GET /{number}") for number in range(MOST_KINDS + 9)]
    assert kinds[0] is not None
    assert kinds[-1] is None, "there is a bound on what is remembered"
    now[0] *= 3
    assert refusals.describe(origin, "GET /y") is not None


async def test_runs_of_workflows_that_are_not_granted_read_404(owner: Gateway) -> None:
    key = await owner.add_key(owner.workspace, role=Role.VIEWER, workflow_ids=["mine"])
    for workflow_id, status in (("mine", 200), ("other", 404)):
        run_id = await add_run(owner, workflow_id=workflow_id)
        execution_id = await add_execution(owner, workflow_id=workflow_id)
        for path in (f"run/{run_id}", f"execution/{execution_id}/status"):
            path = "/api/automation/" + path
            assert (await owner.client.get(path)).status_code == 200, "the owner sees it"
            answer = await owner.client.get(path, headers={"x-api-key": key})
            assert answer.status_code == status, path


async def test_runs_of_workflows_that_are_not_granted_are_controlled_by_nobody_else(
    owner: Gateway,
) -> None:
    key = await owner.add_key(owner.workspace, role=Role.OPERATOR, workflow_ids=["mine"])
    before = await owner.count_requests()
    for workflow_id, status in (("mine", 202), ("other", 404)):
        rests: dict[str, Any] = {"workflow_id": workflow_id, "status": "unconfirmed"}
        run_id = await add_run(owner, **rests, ended_at=None)
        failed = await add_run(owner, workflow_id=workflow_id, status="cancelled")
        await owner.sql.execute(
            "UPDATE orchestrator.runs SET ended_at = now() WHERE id = $1", failed
        )
        execution_id = await add_execution(owner, **rests, run_id=run_id)
        for path, body in (
            (f"execution/{execution_id}/decision", {"verdict": "sent"}),
            (f"run/{run_id}/cancel", None),
            (f"run/{failed}/retry", None),
        ):
            answer = await owner.client.post(
                "/api/automation/" + path, json=body, headers={"x-api-key": key}
            )
            assert answer.status_code == status, (path, answer.text)
        told = await owner.client.get(
            f"/api/automation/run/{failed}/events",
            headers={"x-api-key": key, "last-event-id": "1"},
        )
        assert (told.status_code == 404) == (status == 404)
    assert await owner.count_requests() == before + 3
    # Whose workflow it is, is not known yet.
    fresh = IdIssuer(owner.settings.id_secret).name("run", owner.workspace, new_stem())
    path = f"/api/automation/run/{fresh}/cancel"
    assert (await owner.client.post(path, headers={"x-api-key": key})).status_code == 409
    assert (await owner.client.post(path)).status_code == 202


async def test_only_runs_of_granted_workflows_are_told(owner: Gateway) -> None:
    caller = Principal("k", "tests", owner.workspace, workflow_ids=frozenset({"mine"}))
    feed, since = owner.services.feed, Cursor(datetime.now(UTC), "").to_text()

    async def add(workflow_id: str) -> str:
        return await add_run(owner, workflow_id=workflow_id, created_at=datetime.now(UTC))

    await add("other")
    expected = [await add("mine")]
    told: list[str] = []
    async with asyncio.timeout(20), aclosing(tell_changes(feed, caller, since)) as events:
        async for event in events:
            if event.event == "run":
                told.append(orjson.loads(event.data or "")["runId"])
                if len(told) == 1:
                    await add("other")
                    expected.append(await add("mine"))
                if told[-1] == expected[-1]:
                    break
    assert set(told) == set(expected)


async def test_nobody_gives_grants_that_they_have_not(owner: Gateway) -> None:
    draft = {"name": "crm", "role": "owner"}
    made = (await owner.client.post(KEYS, json={**draft, "workflowIds": ["mine"]})).json()
    assert made["workflowIds"] == ["mine"]
    headers = {"x-api-key": made["key"]}
    for given, status in ((["mine"], 201), (["mine", "other"], 403), (None, 403)):
        answer = await owner.client.post(
            KEYS, json={**draft, "workflowIds": given}, headers=headers
        )
        assert answer.status_code == status, given
    whole = (await owner.client.post(KEYS, json=draft)).json()
    answers = await asyncio.gather(
        *(
            owner.client.post(f"{KEY}{each['keyId']}/rotate", json={}, headers=headers)
            for each in (whole, made)
        )
    )
    assert [each.status_code for each in answers] == [403, 201]
    assert answers[1].json()["workflowIds"] == ["mine"]


@pytest.mark.parametrize(
    ("claim", "statuses"),
    [(["mine"], [200, 403]), ("mine", [200, 403]), (..., [403, 403]), ([5, None], [403, 403])],
)
async def test_a_claim_may_grant_workflows(
    make_settings: MakeSettings, tmp_path: Path, claim: Any, statuses: list[int]
) -> None:
    (tmp_path / "jwks.json").write_bytes(key_set(FIRST))
    settings = make_settings(
        jwt_jwks=str(tmp_path / "jwks.json"),
        jwt_issuer=ISSUER,
        jwt_audience=AUDIENCE,
        jwt_workflows_claim="crm.workflows",
    )
    async with open_gateway(settings) as gateway:
        for workflow_id in ("mine", "other"):
            await gateway.client.put(WORKFLOW + workflow_id, json=WELCOME)
        del gateway.client.headers["x-api-key"]
        crm = ... if claim is ... else {"workflows": claim}
        token = issue(workspace=gateway.workspace, crm=crm)
        found = [
            await gateway.client.get(
                WORKFLOW + workflow_id, headers={"authorization": f"Bearer {token}"}
            )
            for workflow_id in ("mine", "other")
        ]
        assert [each.status_code for each in found] == statuses
