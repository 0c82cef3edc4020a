"""API keys over REST: made, shown once, held to less, rotated, revoked, seen in use."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from gateway.auth.access import Role, Scope
from gateway.auth.keys import is_key
from gateway.auth.store import KeyStore
from gateway.store import open_database

from services.gateway.tests.conftest import Gateway, MakeSettings, open_gateway
from services.gateway.tests.processes import free_port, run_gateway

KEYS = "/api/automation/keys"
KEY = "/api/automation/key/"
LEADS = "/api/automation/leads"
DRAFT = {"name": "crm", "role": "operator"}


@pytest.fixture
async def owner(gateway: Gateway) -> Gateway:
    """The gateway, called by an owner."""
    key = await gateway.add_key(gateway.workspace, role=Role.OWNER)
    gateway.client.headers["x-api-key"] = key
    return gateway


async def make(gateway: Gateway, **draft: Any) -> dict[str, Any]:
    """A new key, as the answer has it."""
    made = await gateway.client.post(KEYS, json={**DRAFT, **draft})
    assert made.status_code == 201, made.text
    body: dict[str, Any] = made.json()
    assert made.headers["location"] == KEY + body["keyId"]
    return body


async def status_with(gateway: Gateway, key: str) -> int:
    """What a call with this key is answered."""
    return (await gateway.client.get(LEADS, headers={"x-api-key": key})).status_code


async def end_memory(gateway: Gateway) -> None:
    """Have the gateway forget what it knows of keys, as it does by itself within a second."""
    gateway.services.door._doorkeeper._remembered.clear()


async def test_a_key_is_shown_once_and_stored_as_a_digest(owner: Gateway) -> None:
    made = await make(
        owner, scopes=["leads:read", "leads:write"], rateLimitPerMinute=60, lifetimeDays=90
    )
    key = made.pop("key")
    assert is_key(key)
    assert made["hint"] == key[: len(made["hint"])]
    assert (made["role"], made["scopes"]) == ("operator", ["leads:read", "leads:write"])
    assert (made["rateLimitPerMinute"], made["createdBy"]) == (60, "tests")
    ends = datetime.fromisoformat(made["expiresAt"]) - datetime.now(UTC)
    assert timedelta(days=89) < ends < timedelta(days=91)
    read = await owner.client.get(KEY + made["keyId"])
    assert read.json() == made
    listed = await owner.client.get(KEYS)
    assert made in listed.json()["items"]
    row = await owner.sql.fetchrow("SELECT * FROM gateway.api_keys WHERE id = $1", made["keyId"])
    assert row is not None
    for stored in (read.text, listed.text, repr(dict(row)), repr(bytes(row["digest"]))):
        assert key not in stored
    assert await status_with(owner, key) == 200
    assert await status_with(owner, row["digest"].hex()) == 401, "a copy of the table lets in"


async def test_keys_are_listed_in_pages(owner: Gateway) -> None:
    made = [(await make(owner))["keyId"] for _ in range(3)]
    found, cursor = [], None
    while True:
        query = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = (await owner.client.get(KEYS, params=query)).json()
        found += [each["keyId"] for each in page["items"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert found[-3:] == made
    assert len(found) == len(set(found)) == 5


@pytest.mark.parametrize(
    ("draft", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"role": "admin"}, "/role"),
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["leads:delete"]}, "/scopes/0"),
        ({"scopes": ["keys:write"]}, "/scopes"),
        ({"rateLimitPerMinute": -1}, "/rateLimitPerMinute"),
        ({"lifetimeDays": 0}, "/lifetimeDays"),
        ({"workspace": "other"}, "/workspace"),
    ],
)
async def test_a_wrong_draft_is_refused(
    owner: Gateway, draft: dict[str, Any], pointer: str
) -> None:
    answer = await owner.client.post(KEYS, json={**DRAFT, **draft})
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]


async def test_nobody_gives_what_they_may_not_do(owner: Gateway) -> None:
    chosen = [Scope.KEYS_READ, Scope.KEYS_WRITE, Scope.LEADS_READ]
    held = await owner.add_key(owner.workspace, role=Role.OWNER, scopes=chosen)
    headers = {"x-api-key": held}
    allowed = {"name": "x", "role": "viewer", "scopes": ["leads:read"]}
    assert (await owner.client.post(KEYS, json=allowed, headers=headers)).status_code == 201
    for draft in (DRAFT, {"name": "x", "role": "owner"}, {"name": "x", "role": "viewer"}):
        answer = await owner.client.post(KEYS, json=draft, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (403, "Access denied")
    stronger = await make(owner, role="owner")
    answer = await owner.client.post(f"{KEY}{stronger['keyId']}/rotate", json={}, headers=headers)
    assert answer.status_code == 403
    assert await status_with(owner, stronger["key"]) == 200


async def test_two_keys_are_live_while_one_follows_the_other(owner: Gateway) -> None:
    first = await make(owner, scopes=["leads:read"], rateLimitPerMinute=600, lifetimeDays=30)
    rotated = await owner.client.post(f"{KEY}{first['keyId']}/rotate", json={"overlapHours": 1})
    assert rotated.status_code == 201
    second = rotated.json()
    same = ("name", "role", "scopes", "rateLimitPerMinute")
    assert [second[name] for name in same] == [first[name] for name in same]
    assert [await status_with(owner, each["key"]) for each in (first, second)] == [200, 200]
    old = (await owner.client.get(KEY + first["keyId"])).json()
    assert old["replacedBy"] == second["keyId"]
    left = datetime.fromisoformat(old["expiresAt"]) - datetime.now(UTC)
    assert timedelta(0) < left <= timedelta(hours=1)
    lifetime = datetime.fromisoformat(second["expiresAt"]) - datetime.now(UTC)
    assert timedelta(days=29) < lifetime <= timedelta(days=30)

    again = await owner.client.post(f"{KEY}{first['keyId']}/rotate", json={})
    assert (again.status_code, again.json()["error"]) == (409, "Conflict")
    third = (await owner.client.post(f"{KEY}{second['keyId']}/rotate", json={})).json()
    await end_memory(owner)
    live = [await status_with(owner, each["key"]) for each in (first, second, third)]
    assert live == [401, 200, 200], "three are live"


async def test_of_rotations_at_once_one_succeeds(owner: Gateway) -> None:
    """Four wait for the same row, which another transaction holds until all of them do."""
    made = await make(owner)
    path = f"{KEY}{made['keyId']}/rotate"
    async with owner.sql.transaction():
        await owner.sql.execute(
            "SELECT FROM gateway.api_keys WHERE id = $1 FOR UPDATE", made["keyId"]
        )
        rotations = [asyncio.create_task(owner.client.post(path, json={})) for _ in range(4)]
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gateway-own'"
            " AND datname = current_database() AND wait_event_type = 'Lock'"
        )
        async with asyncio.timeout(20):
            while await owner.sql.fetchval(waiting) < len(rotations):
                await asyncio.sleep(0.02)
                await owner.sql.execute("SELECT pg_stat_clear_snapshot()")
    answers = await asyncio.gather(*rotations)
    assert sorted(each.status_code for each in answers) == [201, 409, 409, 409]
    count = await owner.sql.fetchval(
        "SELECT count(*) FROM gateway.api_keys WHERE family ="
        " (SELECT family FROM gateway.api_keys WHERE id = $1)",
        made["keyId"],
    )
    assert count == 2


async def test_a_revoked_or_expired_key_cannot_be_rotated(owner: Gateway) -> None:
    made = await make(owner)
    for _ in range(2):
        revoked = await owner.client.delete(KEY + made["keyId"])
        assert revoked.status_code == 200
        assert revoked.json()["revokedAt"] is not None
    assert (await owner.client.post(f"{KEY}{made['keyId']}/rotate", json={})).status_code == 409
    for path in (KEY + "nonsense", KEY + "00000000-0000-4000-8000-000000000000"):
        assert (await owner.client.delete(path)).status_code == 404


async def test_a_key_ends_on_all_gateways_within_a_second(make_settings: MakeSettings) -> None:
    """Both gateways have just seen the key; one of them is told."""
    settings = make_settings()
    async with (
        open_gateway(settings) as gateway,
        run_gateway(settings, free_port()) as one,
        run_gateway(settings, free_port()) as other,
        httpx.AsyncClient() as client,
    ):
        owner = {"x-api-key": await gateway.add_key(gateway.workspace, role=Role.OWNER)}
        made = (await client.post(one.url + KEYS, json=DRAFT, headers=owner)).json()
        headers = {"x-api-key": made["key"]}
        for process in (one, other):
            assert (await client.get(process.url + LEADS, headers=headers)).status_code == 200
        await client.delete(f"{one.url}{KEY}{made['keyId']}", headers=owner)
        await asyncio.sleep(1)
        for process in (one, other):
            assert (await client.get(process.url + LEADS, headers=headers)).status_code == 401


async def test_the_last_use_is_written_apart_from_the_calls(owner: Gateway) -> None:
    made = await make(owner)
    assert made["lastUsedAt"] is None
    assert await status_with(owner, made["key"]) == 200
    doorkeeper = owner.services.door._doorkeeper
    assert (await owner.client.get(KEY + made["keyId"])).json()["lastUsedAt"] is None
    await doorkeeper.write_uses()
    used = (await owner.client.get(KEY + made["keyId"])).json()["lastUsedAt"]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(used)) < timedelta(seconds=60)


async def test_the_last_uses_are_written_at_the_end_too(make_settings: MakeSettings) -> None:
    async with open_gateway(make_settings()) as gateway:
        settings, workspace = gateway.settings, gateway.workspace
        assert await status_with(gateway, gateway.key) == 200
    async with open_database(settings, purpose="tests", size=1) as database:
        (row,) = await KeyStore(database).list_all(workspace)
    assert row.last_used_at is not None


async def test_wrong_keys_are_limited_for_each_address(make_settings: MakeSettings) -> None:
    limit = secrets.randbelow(20) + 5
    settings = make_settings(bad_keys_per_minute=limit, rate_limit_wait_ms=20_000)
    async with open_gateway(settings) as gateway:
        # An address that no other test has.
        address = f"10.{secrets.randbelow(250)}.{secrets.randbelow(250)}.{secrets.randbelow(250)}"
        gateway.client._transport.client = (address, 1)  # type: ignore[attr-defined] # ASGI's
        statuses = [await status_with(gateway, f"wrong-{n}") for n in range(limit + 3)]
        assert statuses == [401] * limit + [429] * 3
        refused = await gateway.client.get(LEADS, headers={"x-api-key": "wrong"})
        assert refused.json()["error"] == "Too many automation requests"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        # Who shares the address is not locked out, and who has no key is told so.
        assert await status_with(gateway, gateway.key) == 200
        del gateway.client.headers["x-api-key"]
        assert (await gateway.client.get(LEADS)).status_code == 401
