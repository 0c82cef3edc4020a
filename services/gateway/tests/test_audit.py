"""The audit log: what each call leaves in it, in the transaction of what it changes."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import asyncpg
import httpx
import orjson
import pytest
from gateway.audit.coverage import CHANGES, READS, UNRECORDED
from gateway.audit.entries import Action, Entry, Origin
from gateway.audit.store import AuditStore, change
from gateway.auth.access import GUARDED, Role, Route
from gateway.leads.service import CHUNK_LEADS
from gateway.store import open_database
from mirsal_runtime.queries import load_queries

from services.gateway.tests import audited_jobs as jobs
from services.gateway.tests import listed_addresses, saved_credentials, saved_leads
from services.gateway.tests.conftest import AHMED, WELCOME, Gateway
from services.gateway.tests.test_letters import add_letter
from services.gateway.tests.test_reading import add_execution, add_run
from services.gateway.tests.test_webhooks import add_delivery

API: Final = "/api/automation"
NDJSON: Final = {"content-type": "application/x-ndjson"}
Row = dict[str, Any]
Do = Callable[[Gateway], Awaitable[tuple[httpx.Response, str]]]


@pytest.fixture
async def owner(gateway: Gateway) -> Gateway:
    """A gateway whose caller is an owner."""
    key = await gateway.add_key(gateway.workspace, role=Role.OWNER)
    gateway.client.headers["x-api-key"] = key
    return gateway


async def read_log(owner: Gateway, **query: Any) -> list[Row]:
    """All rows of the workspace's log that were written before the call."""
    asked = {name: value for name, value in query.items() if value}
    answer = await owner.client.get(f"{API}/audit", params={"limit": 200, **asked})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def save_lead(owner: Gateway) -> tuple[httpx.Response, str]:
    return await owner.client.put(f"{API}/lead/sara", json=AHMED), "sara"


async def import_leads(owner: Gateway) -> tuple[httpx.Response, str]:
    body = b'{"leadId": "a", "name": "A"}\n{"leadId": "b"}\n{}'
    return await owner.client.post(f"{API}/leads", content=body, headers=NDJSON), ""


async def create_workflow(owner: Gateway) -> tuple[httpx.Response, str]:
    answer = await owner.client.post(f"{API}/workflow", json=WELCOME)
    return answer, answer.json()["workflowId"]


async def save_workflow(owner: Gateway) -> tuple[httpx.Response, str]:
    return await owner.client.put(f"{API}/workflow/hello", json=WELCOME), "hello"


async def cancel(owner: Gateway) -> tuple[httpx.Response, str]:
    run_id = await add_run(owner, status="paused", ended_at=None)
    return await owner.client.post(f"{API}/run/{run_id}/cancel"), run_id


async def retry(owner: Gateway) -> tuple[httpx.Response, str]:
    now = await owner.sql.fetchval("SELECT now()")
    run_id = await add_run(owner, status="failed", ended_at=now)
    return await owner.client.post(f"{API}/run/{run_id}/retry"), run_id


async def decide(owner: Gateway) -> tuple[httpx.Response, str]:
    run_id = await add_run(owner, status="unconfirmed", ended_at=None)
    execution_id = await add_execution(owner, run_id=run_id, status="unconfirmed")
    path = f"{API}/execution/{execution_id}/decision"
    return await owner.client.post(path, json={"verdict": "sent"}), execution_id


async def make_key(owner: Gateway) -> tuple[httpx.Response, str]:
    answer = await owner.client.post(f"{API}/keys", json={"name": "crm", "role": "operator"})
    return answer, answer.json()["keyId"]


async def rotate_key(owner: Gateway) -> tuple[httpx.Response, str]:
    _, key_id = await make_key(owner)
    answer = await owner.client.post(f"{API}/key/{key_id}/rotate", json={})
    return answer, answer.json()["keyId"]


async def revoke_key(owner: Gateway) -> tuple[httpx.Response, str]:
    _, key_id = await make_key(owner)
    return await owner.client.delete(f"{API}/key/{key_id}"), key_id


async def read_key(owner: Gateway) -> tuple[httpx.Response, str]:
    _, key_id = await make_key(owner)
    return await owner.client.get(f"{API}/key/{key_id}"), key_id


async def list_keys(owner: Gateway) -> tuple[httpx.Response, str]:
    return await owner.client.get(f"{API}/keys"), ""


async def list_leads(owner: Gateway) -> tuple[httpx.Response, str]:
    return await owner.client.get(f"{API}/leads"), ""


async def replay_letter(owner: Gateway) -> tuple[httpx.Response, str]:
    letter_id = await add_letter(owner, run_id=await add_run(owner))
    return await owner.client.post(f"{API}/dead-letter/{letter_id}/replay"), letter_id


async def read_letter(owner: Gateway) -> tuple[httpx.Response, str]:
    letter_id = await add_letter(owner)
    return await owner.client.get(f"{API}/dead-letter/{letter_id}/content"), letter_id


async def make_webhook(owner: Gateway) -> tuple[httpx.Response, str]:
    draft = {"url": "https://hooks.example/in?key=hidden", "eventTypes": ["run.failed"]}
    answer = await owner.client.post(f"{API}/webhooks", json=draft)
    return answer, answer.json()["webhookId"]


def on_webhook(method: str, ending: str = "", body: Any = None) -> Do:
    """Make a webhook, and then this call of it."""

    async def do(owner: Gateway) -> tuple[httpx.Response, str]:
        _, webhook_id = await make_webhook(owner)
        path = f"{API}/webhook/{webhook_id}{ending}"
        return await owner.client.request(method, path, json=body), webhook_id

    return do


async def redeliver(owner: Gateway) -> tuple[httpx.Response, str]:
    _, webhook_id = await make_webhook(owner)
    path = f"{API}/webhook/{webhook_id}"
    delivery_id = await add_delivery(owner, webhook_id, "dead")
    return await owner.client.post(f"{path}/delivery/{delivery_id}/redeliver"), webhook_id


async def read_audit(owner: Gateway) -> tuple[httpx.Response, str]:
    return await owner.client.get(f"{API}/audit"), ""


DO: Final[dict[Route, Do]] = {
    **saved_credentials.DO,
    **listed_addresses.DO,
    ("POST", f"{API}/workflow"): create_workflow,
    ("PUT", f"{API}/workflow/{{workflowId}}"): save_workflow,
    ("POST", f"{API}/workflow/{{workflowId}}/activate"): jobs.activate,
    ("POST", f"{API}/workflow/{{workflowId}}/deactivate"): jobs.deactivate,
    ("PUT", f"{API}/lead/{{leadId}}"): save_lead,
    ("POST", f"{API}/leads"): import_leads,
    ("POST", f"{API}/run/{{runId}}/cancel"): cancel,
    ("POST", f"{API}/run/{{runId}}/retry"): retry,
    ("POST", f"{API}/execution/{{executionId}}/decision"): decide,
    ("POST", f"{API}/dead-letter/{{letterId}}/replay"): replay_letter,
    ("POST", f"{API}/webhooks"): make_webhook,
    ("PUT", f"{API}/webhook/{{webhookId}}"): on_webhook(
        "PUT", body={"url": "https://other.example/", "eventTypes": ["run.failed"]}
    ),
    ("DELETE", f"{API}/webhook/{{webhookId}}"): on_webhook("DELETE"),
    ("POST", f"{API}/webhook/{{webhookId}}/rotate"): on_webhook("POST", "/rotate", {}),
    ("POST", f"{API}/webhook/{{webhookId}}/test"): on_webhook("POST", "/test"),
    ("POST", f"{API}/webhook/{{webhookId}}/redeliver"): on_webhook(
        "POST", "/redeliver", {"since": "2026-11-22T00:00:00Z"}
    ),
    ("POST", f"{API}/webhook/{{webhookId}}/delivery/{{deliveryId}}/redeliver"): redeliver,
    ("POST", f"{API}/leads/import"): jobs.import_as_job,
    ("POST", f"{API}/workflow/{{workflowId}}/run"): jobs.start_many,
    ("POST", f"{API}/workflow/{{workflowId}}/runs"): jobs.start_as_job,
    ("POST", f"{API}/dead-letters/replay"): jobs.replay_as_job,
    ("POST", f"{API}/job/{{jobId}}/cancel"): jobs.cancel_job,
    ("POST", f"{API}/keys"): make_key,
    ("POST", f"{API}/key/{{keyId}}/rotate"): rotate_key,
    ("DELETE", f"{API}/key/{{keyId}}"): revoke_key,
    **saved_leads.DO,
    ("GET", f"{API}/leads"): list_leads,
    ("GET", f"{API}/dead-letter/{{letterId}}/content"): read_letter,
    ("GET", f"{API}/keys"): list_keys,
    ("GET", f"{API}/key/{{keyId}}"): read_key,
    ("GET", f"{API}/audit"): read_audit,
}
"""How to have each call of the table of coverage do what it is for."""


def test_every_call_that_changes_something_is_recorded_or_says_why_not() -> None:
    """Whoever adds a route decides here: gateway.audit.coverage, and an entry in `DO` above."""
    changing = {route for route in GUARDED if route[0] != "GET"}
    assert changing == CHANGES.keys() | UNRECORDED.keys()
    assert not CHANGES.keys() & UNRECORDED.keys()
    assert READS.keys() <= GUARDED.keys() - changing
    assert all(reason.strip() for reason in UNRECORDED.values())
    assert DO.keys() == CHANGES.keys() | READS.keys()


@pytest.mark.parametrize("route", DO, ids=" ".join)
async def test_a_call_leaves_one_entry(owner: Gateway, route: Route) -> None:
    action = {**CHANGES, **READS}[route]
    answer, object_id = await DO[route](owner)
    assert answer.is_success, answer.text
    (row,) = await read_log(owner, action=action.value, objectId=object_id)
    assert row["action"] == action
    assert (row["actor"]["kind"], row["actor"]["name"]) == ("key", "tests")
    assert row["actor"]["address"] == "127.0.0.1"
    keys = await owner.sql.fetch("SELECT id FROM gateway.api_keys WHERE name = 'tests'")
    assert row["actor"]["id"] in {str(each["id"]) for each in keys}
    assert abs(await owner.sql.fetchval("SELECT extract(epoch FROM now() - $1::text::timestamptz)",
                                        row["at"])) < 60  # fmt: skip


async def test_what_is_refused_leaves_none(owner: Gateway) -> None:
    before = await read_log(owner)
    calls = [
        ("PUT", "/lead/sara", {"email": "nonsense"}),
        ("PUT", "/workflow/hello", {**WELCOME, "nodes": []}),
        ("POST", "/keys", {"name": "x", "role": "king"}),
        ("POST", "/run/01936f2e-8a00-7c11-9d3b-5f0c2a417e90/cancel", None),
        ("DELETE", "/key/01936f2e-8a00-7c11-9d3b-5f0c2a417e90", None),
        ("GET", "/lead/nobody", None),
    ]
    for method, path, body in calls:
        answer = await owner.client.request(method, API + path, json=body)
        assert answer.status_code in {404, 422}, answer.text
    rows = await read_log(owner)
    assert [row["action"] for row in rows[len(before) :]] == [Action.AUDIT_READ]


async def test_a_lead_is_told_of_without_its_data(owner: Gateway) -> None:
    await save_lead(owner)
    await save_lead(owner)
    changed = {**AHMED, "email": "new@example.com", "consent": {"email": False}}
    await owner.client.put(f"{API}/lead/sara", json=changed)
    first, second = await read_log(owner, objectId="sara")
    assert first["before"] is None
    assert (first["after"]["email"], first["after"]["consent"]["email"]) == ("[email]", True)
    assert second["before"] == {"email": "[email]", "consent": {"email": True, "whatsapp": None}}
    assert second["after"] == {"email": "[email]", "consent": {"email": False, "whatsapp": None}}
    dump = orjson.dumps(await read_log(owner)).decode()
    for told in ("أحمد", "ahmed@example.com", "new@example.com", "201001234567", "القاهرة"):
        assert told not in dump


async def test_a_key_is_told_of_without_what_lets_in(owner: Gateway) -> None:
    answer, _ = await make_key(owner)
    key = answer.json()["key"]
    (row,) = await read_log(owner, objectId=answer.json()["keyId"])
    assert row["after"].items() >= {"name": "crm", "role": "operator"}.items()
    tables = await owner.sql.fetch(
        "SELECT log::text FROM gateway.audit_log log UNION ALL "
        "SELECT inbox::text FROM gateway.audit_inbox inbox"
    )
    assert not [each for each in tables if key in each[0]]


async def test_of_a_webhook_only_the_host_is_told(owner: Gateway) -> None:
    _, webhook_id = await make_webhook(owner)
    draft = {"url": "https://hooks.example/other", "eventTypes": ["run.failed"]}
    for _ in range(2):
        await owner.client.put(f"{API}/webhook/{webhook_id}", json=draft)
    made, saved = await read_log(owner, objectId=webhook_id)
    assert made["after"]["url"] == "hooks.example"
    assert (saved["before"], saved["after"]) == ({"url": "hooks.example"}, {"url": "hooks.example"})
    assert "hidden" not in orjson.dumps([made, saved]).decode()


async def test_a_version_is_told_by_its_digest(owner: Gateway) -> None:
    await save_workflow(owner)
    await owner.client.put(f"{API}/workflow/hello", json={**WELCOME, "name": "Other"})
    first, second = await read_log(owner, objectId="hello")
    assert (first["before"], first["after"]["version"]) == (None, 1)
    assert (second["before"], second["after"]["version"]) == ({"version": 1}, 2)
    assert second["after"].items() >= {"name": "Other", "nodes": 2}.items()
    assert first["after"]["sha256"] != second["after"]["sha256"]


async def send_leads(owner: Gateway, count: int, *, whole: bool = True) -> httpx.Response:
    """An import of so many leads, which may break off at its end."""

    async def lines() -> AsyncIterator[bytes]:
        for number in range(count):
            yield orjson.dumps({"leadId": f"l{number}"}) + b"\n"
        if not whole:
            yield b"x" * 100_000

    return await owner.client.post(f"{API}/leads", content=lines(), headers=NDJSON)


@pytest.mark.parametrize(
    ("count", "whole", "expected"),
    [
        (3, True, [Action.LEADS_IMPORTED]),
        (CHUNK_LEADS, True, [Action.LEADS_IMPORT_BEGAN, Action.LEADS_IMPORTED]),
        (CHUNK_LEADS + 3, True, [Action.LEADS_IMPORT_BEGAN, Action.LEADS_IMPORTED]),
        (CHUNK_LEADS + 3, False, [Action.LEADS_IMPORT_BEGAN, Action.LEADS_IMPORTED]),
        (3, False, []),
        (0, True, []),
    ],
)
async def test_an_import_is_one_entry_or_a_beginning_and_an_end(
    owner: Gateway, count: int, whole: bool, expected: list[Action]
) -> None:
    answer = await send_leads(owner, count, whole=whole)
    assert answer.status_code == (200 if whole else 422)
    rows = [row for row in await read_log(owner) if row["action"].startswith("leads.import")]
    assert [row["action"] for row in rows] == expected
    assert len({row["objectId"] for row in rows}) <= 1
    if rows:
        after = rows[-1]["after"]
        saved = count if whole else CHUNK_LEADS
        assert (after["created"], after["updated"], after["brokenOff"]) == (saved, 0, not whole)
    again = await send_leads(owner, count, whole=whole)
    assert again.status_code == answer.status_code
    if rows:
        last = [row for row in await read_log(owner) if row["action"] == Action.LEADS_IMPORTED][-1]
        assert (last["after"]["updated"], last["after"]["created"]) == (saved, 0)
        assert last["after"]["sha256"] == after["sha256"]


async def test_change_and_entry_count_together_or_not_at_all(gateway: Gateway) -> None:
    """One that cannot be described changes nothing; one that fails records nothing."""
    sql, origin = load_queries("gateway.auth"), Origin(gateway.workspace, "key", "k", "n", "")
    limits = "SELECT count(*) FROM gateway.workspace_limits WHERE workspace = $1"
    inbox = "SELECT count(*) FROM gateway.audit_inbox WHERE workspace = $1"

    def fail(rows: Any) -> Entry:
        raise LookupError

    def describe(rows: Any) -> Entry:
        return Entry(origin, Action.WORKSPACE_LIMITED, "w")

    async with open_database(gateway.settings, purpose="tests", size=1) as database:
        await AuditStore(database).seal()
        own, limit = gateway.workspace, sql["set_workspace_limit"]
        with pytest.raises(LookupError):
            await change(database, own, fail, limit, own, 5)
        assert await gateway.sql.fetchval(limits, own) == 0
        with pytest.raises(asyncpg.CheckViolationError):
            await change(database, own, describe, limit, own, -5)
        assert await gateway.sql.fetchval(inbox, own) == 0
        await change(database, own, describe, limit, own, 5)
        assert await gateway.sql.fetchval(limits, gateway.workspace) == 1


async def test_the_log_is_read_in_pages_and_by_filter(owner: Gateway) -> None:
    for number in range(5):
        await owner.client.put(f"{API}/lead/l{number}", json={})
    whole = await read_log(owner)
    assert [row["seq"] for row in whole] == list(range(1, len(whole) + 1))
    pages, cursor = [], None
    while True:
        query: dict[str, Any] = {
            "limit": 2,
            "action": "lead.saved",
            **({"cursor": cursor} if cursor else {}),
        }
        page = (await owner.client.get(f"{API}/audit", params=query)).json()
        pages += page["items"]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert [row["objectId"] for row in pages] == [f"l{number}" for number in range(5)]
    assert await read_log(owner, actorId="nobody") == []
    middle = pages[2]["at"]
    assert [row["seq"] for row in await read_log(owner, createdBefore=middle)] == [
        row["seq"] for row in whole if row["at"] < middle
    ]
    after = await read_log(owner, createdAfter=middle, action="lead.saved")
    assert [row["objectId"] for row in after] == ["l2", "l3", "l4"], "from this time on"


async def test_gateways_at_once_make_one_chain_without_gaps(owner: Gateway) -> None:
    """Several seal at the same time, while changes come in."""
    async with open_database(owner.settings, purpose="tests", size=4) as database:
        store, done = AuditStore(database), asyncio.Event()

        async def seal() -> None:
            while not done.is_set():
                await store.seal()

        sealers = [asyncio.create_task(seal()) for _ in range(3)]
        saves = [owner.client.put(f"{API}/lead/l{number}", json={}) for number in range(60)]
        answers = await asyncio.gather(*saves)
        done.set()
        await asyncio.gather(*sealers)
    assert {answer.status_code for answer in answers} == {201}
    rows = await read_log(owner)
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    saved = [row["objectId"] for row in rows if row["action"] == "lead.saved"]
    assert sorted(saved) == sorted(f"l{number}" for number in range(60))
    for one, next_one in itertools.pairwise(rows):
        assert next_one["previous"] == one["hash"]
