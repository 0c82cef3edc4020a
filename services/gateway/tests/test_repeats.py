"""Idempotency keys: every call that makes something makes it once, also where it has a secret."""

import asyncio
from typing import Any, Final

import httpx
import orjson
import pytest
from gateway.application import build_app
from gateway.auth.access import Role
from gateway.openapi import describe
from gateway.repeats import HEADER, SHOWN_ONCE
from gateway.webhooks.store import MOST_ENDPOINTS

from services.gateway.tests.conftest import Gateway
from services.gateway.tests.one_of_each import make_one_of_each
from services.gateway.tests.test_access import CLOSED, Case
from services.gateway.tests.test_reading import add_run

API: Final = "/api/automation"
MAKES_NOTHING: Final = {
    f"{API}/leads": "says what leads shall be, under ids of the caller's: as a PUT does",
    f"{API}/job/{{jobId}}/cancel": "ends something; said again, nothing changes",
    f"{API}/workflow/{{workflowId}}/activate": "says how something shall be",
    f"{API}/workflow/{{workflowId}}/deactivate": "says how something shall be",
    f"{API}/workflows/validate": "looks at a definition",
}
WAITS_FOR_CODE: Final = {f"{API}/code/execute", f"{API}/code/check"}
MAKING: Final = [
    case for case in CLOSED if case.method == "POST" and case.path not in MAKES_NOTHING
]
KEYS: Final = f"{API}/keys"
WEBHOOKS: Final = f"{API}/webhooks"
DRAFT: Final[dict[str, Any]] = {"name": "crm", "role": "viewer"}
HOOK: Final[dict[str, Any]] = {
    "url": "https://hooks.example.com/x",
    "eventTypes": ["run.failed"],
}


def _document() -> Any:
    return orjson.loads(orjson.dumps(describe(build_app())))


PATHS: Final = _document()["paths"]


def parameter_of(case: Case) -> dict[str, Any] | None:
    """The header as the document has it for this call."""
    parameters = PATHS[case.path]["post"].get("parameters", [])
    return next((each for each in parameters if each["name"] == HEADER), None)


def test_every_call_that_makes_something_takes_a_key() -> None:
    assert len(MAKING) > 20
    without = [case.path for case in MAKING if parameter_of(case) is None]
    assert not without, "say in MAKES_NOTHING why these need none, or let them take one"


async def ask(gateway: Gateway, case: Case, ids: dict[str, str], key: str) -> httpx.Response:
    """The document's example of the call, with a key."""
    headers = {"content-type": case.media_type} if case.body is not None else {}
    return await gateway.client.request(
        case.method, case.fill(**ids), content=case.body, headers={**headers, HEADER: key}
    )


async def make_owner(gateway: Gateway) -> None:
    """Let the client call as an owner."""
    key = await gateway.add_key(gateway.workspace, role=Role.OWNER)
    gateway.client.headers["x-api-key"] = key


async def test_a_repeated_call_makes_nothing_new(gateway: Gateway) -> None:
    await make_owner(gateway)
    ids = await make_one_of_each(gateway)
    now = await gateway.sql.fetchval("SELECT now()")
    failed = await add_run(gateway, status="failed", ended_at=now)
    for number, case in enumerate(MAKING):
        if case.path in WAITS_FOR_CODE:
            continue
        given = {**ids, "runId": failed} if case.path.endswith("/retry") else ids
        first = await ask(gateway, case, given, f"k{number}")
        assert first.is_success, (case, first.text)
        again = await ask(gateway, case, given, f"k{number}")
        parameter = parameter_of(case)
        assert parameter is not None
        if parameter["description"] == SHOWN_ONCE["description"]:
            assert (again.status_code, again.json()["error"]) == (409, "Conflict"), case
            made = first.json()
            named = again.headers["location"].rpartition("/")[2]
            assert named in {made.get("keyId"), made.get("webhookId")}
            assert made.get("secret", made.get("key")) not in again.text
        else:
            assert again.status_code == first.status_code, (case, again.text)
            assert again.json() == first.json(), case


async def test_what_is_kept_of_a_call_holds_no_secret(gateway: Gateway) -> None:
    await make_owner(gateway)
    key = (await gateway.client.post(KEYS, json=DRAFT, headers={HEADER: "k"})).json()["key"]
    made = await gateway.client.post(WEBHOOKS, json=HOOK, headers={HEADER: "w"})
    kept = await gateway.sql.fetch(
        "SELECT row_to_json(old)::text FROM gateway.idempotency_keys AS old WHERE workspace = $1",
        gateway.workspace,
    )
    assert len(kept) == 2
    for secret in (key, key[3:20], made.json()["secret"]):
        assert secret not in str(kept)


@pytest.mark.parametrize(
    ("path", "body", "other"),
    [
        (KEYS, DRAFT, {**DRAFT, "name": "other"}),
        (WEBHOOKS, HOOK, {**HOOK, "description": "other"}),
        (
            f"{API}/workflow",
            {"name": "a", "nodes": [{"id": "n", "type": "noop", "config": {}}]},
            {"name": "b", "nodes": [{"id": "n", "type": "noop", "config": {}}]},
        ),
    ],
)
async def test_calls_at_the_same_moment_make_one_thing_and_another_body_is_refused(
    gateway: Gateway, path: str, body: dict[str, Any], other: dict[str, Any]
) -> None:
    await make_owner(gateway)
    answers = await asyncio.gather(
        *(gateway.client.post(path, json=body, headers={HEADER: "k"}) for _ in range(8))
    )
    # On a busy machine some may have waited for the first one for too long: 503.
    told = [each for each in answers if each.status_code != 503]
    assert {each.status_code for each in told} <= {201, 409}
    if path in {KEYS, WEBHOOKS}:
        assert [each.status_code for each in told].count(201) == 1
    places = {each.headers["location"] for each in told}
    assert len(places) == 1
    refused = await gateway.client.post(path, json=other, headers={HEADER: "k"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["parameter"] == HEADER
    table = {KEYS: "api_keys", WEBHOOKS: "webhook_endpoints"}.get(path, "workflow_definitions")
    count = await gateway.sql.fetchval(
        f"SELECT count(*) FROM gateway.{table} WHERE workspace = $1",  # noqa: S608 - ours
        gateway.workspace,
    )
    assert count == (3 if path == KEYS else 1)


async def test_a_call_that_made_nothing_does_not_use_up_its_key(gateway: Gateway) -> None:
    """The bound holds for calls at the same moment, too."""
    made = await asyncio.gather(
        *(gateway.client.post(WEBHOOKS, json=HOOK) for _ in range(MOST_ENDPOINTS + 6))
    )
    ids = [each.json()["webhookId"] for each in made if each.status_code == 201]
    assert len(ids) == MOST_ENDPOINTS
    assert {each.status_code for each in made} == {201, 409}
    full = await gateway.client.post(WEBHOOKS, json=HOOK, headers={HEADER: "k"})
    assert full.status_code == 409
    assert "location" not in full.headers
    await gateway.client.delete(f"{API}/webhook/{ids[0]}")
    now = await gateway.client.post(WEBHOOKS, json=HOOK, headers={HEADER: "k"})
    assert now.status_code == 201, now.text


async def test_a_rotation_is_repeated_by_nobody(gateway: Gateway) -> None:
    await make_owner(gateway)
    made = (await gateway.client.post(KEYS, json=DRAFT)).json()
    rotate = f"{API}/key/{made['keyId']}/rotate"
    body = {"overlapHours": 1}
    first = await gateway.client.post(rotate, json=body, headers={HEADER: "k"})
    again = await gateway.client.post(rotate, json=body, headers={HEADER: "k"})
    assert (first.status_code, again.status_code) == (201, 409)
    assert again.headers["location"] == f"{API}/key/{first.json()['keyId']}"
    # Whose first answer was lost rotates what it made.
    lost = await gateway.client.post(f"{again.headers['location']}/rotate", json=body)
    assert lost.status_code == 201


async def test_an_empty_key_is_refused(gateway: Gateway) -> None:
    for bad in ("", "x" * 256):
        answer = await gateway.client.post(WEBHOOKS, json=HOOK, headers={HEADER: bad})
        assert answer.status_code == 422, bad
