"""Bearer tokens at the gateway: roles, workspaces, keys that change, an issuer that is away."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from gateway.auth import key_set as key_sets
from gateway.auth.key_set import FETCH_SECONDS, KeySet, KeysUnavailable
from mirsal_runtime import metrics
from pydantic import ValidationError

from services.gateway.tests.conftest import AHMED, Gateway, MakeSettings, open_gateway
from services.gateway.tests.issuers import (
    AUDIENCE,
    FIRST,
    ISSUER,
    SECOND,
    STRANGER,
    KeyServer,
    issue,
    key_set,
    serve_keys,
    to_json,
)
from services.gateway.tests.test_tokens import TAMPERED

LEADS = "/api/automation/leads"
LEAD = "/api/automation/lead/ahmed"
RULES = {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}


@pytest.fixture
async def issuer() -> AsyncIterator[KeyServer]:
    """An issuer whose key set can be fetched."""
    async with serve_keys() as server:
        yield server


@pytest.fixture
async def gateway(make_settings: MakeSettings, issuer: KeyServer) -> AsyncIterator[Gateway]:
    """A gateway that takes the issuer's tokens; no key is sent unless a test does so."""
    async with open_gateway(make_settings(jwt_jwks=issuer.url, **RULES)) as opened:
        del opened.client.headers["x-api-key"]
        yield opened


def bearer(token: str) -> dict[str, str]:
    """The header."""
    return {"authorization": f"Bearer {token}"}


async def status_with(gateway: Gateway, token: str) -> int:
    """What a call with this token is answered."""
    return (await gateway.client.get(LEADS, headers=bearer(token))).status_code


def allow_fetch(gateway: Gateway) -> None:
    """As if the last fetch were long enough ago for another one."""
    keys = gateway.services.door._bearer._keys  # type: ignore[union-attr] # it has one here
    keys._tried_at = time.monotonic() - key_sets.AGAIN_SECONDS


async def test_claims_say_workspace_and_role(gateway: Gateway) -> None:
    key = {"x-api-key": gateway.key}
    assert (await gateway.client.put(LEAD, json=AHMED, headers=key)).status_code == 201
    mine = bearer(issue(workspace=gateway.workspace))
    assert (await gateway.client.get(LEAD, headers=mine)).status_code == 200
    assert (await gateway.client.put(LEAD, json=AHMED, headers=mine)).status_code == 200
    workflow = await gateway.client.put("/api/automation/workflow/w", json={}, headers=mine)
    assert (workflow.status_code, workflow.json()["error"]) == (403, "Access denied")
    viewer = bearer(issue(workspace=gateway.workspace, role="viewer"))
    assert (await gateway.client.get(LEAD, headers=viewer)).status_code == 200
    assert (await gateway.client.put(LEAD, json=AHMED, headers=viewer)).status_code == 403
    foreign = bearer(issue(workspace=f"w-{secrets.token_hex(4)}", role="owner"))
    assert (await gateway.client.get(LEAD, headers=foreign)).status_code == 404


@pytest.mark.parametrize("role", [..., None, "", "admin", [], ["admin"], {"role": "owner"}, 5])
async def test_without_a_role_one_is_known_and_may_nothing(gateway: Gateway, role: Any) -> None:
    assert await status_with(gateway, issue(role=role)) == 403


@pytest.mark.parametrize("workspace", [..., None, "", 5, ["acme"], "a/b", "a\nb", "w" * 129])
async def test_without_a_workspace_a_token_is_no_good(gateway: Gateway, workspace: Any) -> None:
    assert await status_with(gateway, issue(workspace=workspace)) == 401


async def test_the_issuers_words_are_mapped(make_settings: MakeSettings, issuer: KeyServer) -> None:
    settings = make_settings(
        jwt_jwks=issuer.url,
        jwt_workspace_claim="https://crm.example/tenant",
        jwt_role_claim="realm_access.roles",
        jwt_roles={"crm-read": "viewer", "crm-admin": "owner"},
        **RULES,
    )
    async with open_gateway(settings) as gateway:
        tenant: dict[str, Any] = {"https://crm.example/tenant": gateway.workspace}
        del gateway.client.headers["x-api-key"]
        for words, status in ((["crm-read"], 403), (["x", "crm-read", "crm-admin"], 200)):
            token = issue(realm_access={"roles": words}, role="owner", **tenant)
            answer = await gateway.client.get("/api/automation/keys", headers=bearer(token))
            assert answer.status_code == status


async def test_every_refusal_reads_the_same(gateway: Gateway, issuer: KeyServer) -> None:
    issuer.body = key_set(FIRST, SECOND)
    assert await status_with(gateway, issue()) == 200
    bodies = set()
    for name, token in TAMPERED.items():
        if not token.isascii() or not token.isprintable():
            continue  # No client can send it.
        answer = await gateway.client.get(LEADS, headers=bearer(token))
        assert answer.status_code == 401, name
        bodies.add(answer.content)
    (body,) = bodies
    assert b'"error":"Invalid API key"' in body
    assert "Bearer" in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", "Basic c2FyYTpzYXJh")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer ")],
        [("authorization", "")],
        [("authorization", "GOOD")],
        [("authorization", "Token GOOD")],
        [("authorization", "Bearer GOOD"), ("authorization", "Bearer GOOD")],
        [("authorization", "Bearer GOOD"), ("x-api-key", "wrong")],
    ],
)
async def test_a_header_that_is_no_bearers_is_401(
    gateway: Gateway, headers: list[tuple[str, str]]
) -> None:
    good = issue()
    filled = [(name, value.replace("GOOD", good)) for name, value in headers]
    assert (await gateway.client.get(LEADS, headers=filled)).status_code == 401


async def test_an_api_key_works_beside_tokens(gateway: Gateway) -> None:
    headers = {"x-api-key": gateway.key}
    assert (await gateway.client.get(LEADS, headers=headers)).status_code == 200
    headers = {"authorization": f"bearer {issue()}"}
    assert (await gateway.client.get(LEADS, headers=headers)).status_code == 200


async def test_wrong_tokens_are_limited_for_each_address(
    make_settings: MakeSettings, issuer: KeyServer
) -> None:
    settings = make_settings(
        jwt_jwks=issuer.url, bad_keys_per_minute=3, rate_limit_wait_ms=20_000, **RULES
    )
    async with open_gateway(settings) as gateway:
        address = f"10.{secrets.randbelow(250)}.{secrets.randbelow(250)}.{secrets.randbelow(250)}"
        gateway.client._transport.client = (address, 1)  # type: ignore[attr-defined] # ASGI's
        del gateway.client.headers["x-api-key"]
        statuses = [await status_with(gateway, issue(key=STRANGER)) for _ in range(5)]
        assert statuses == [401, 401, 401, 429, 429]
        assert await status_with(gateway, issue()) == 200


async def test_new_keys_are_found_and_old_ones_end(gateway: Gateway, issuer: KeyServer) -> None:
    old, new = issue(), issue({"kid": "second"}, key=SECOND)
    assert [await status_with(gateway, each) for each in (old, new)] == [200, 401]
    issuer.body = key_set(FIRST, SECOND)
    assert await status_with(gateway, new) == 401, "the issuer is asked for each unknown kid"
    assert issuer.calls == 1
    allow_fetch(gateway)
    assert [await status_with(gateway, each) for each in (old, new)] == [200, 200]
    issuer.body = key_set(SECOND)
    allow_fetch(gateway)
    assert await status_with(gateway, issue({"kid": "third"}, key=STRANGER)) == 401
    # The token was remembered a moment ago, but with keys that are no more.
    assert [await status_with(gateway, each) for each in (old, new)] == [401, 200]


async def test_unknown_kids_do_not_make_a_storm_of_fetches(
    gateway: Gateway, issuer: KeyServer
) -> None:
    tokens = [issue({"kid": f"k{n}"}, key=STRANGER) for n in range(20)]
    statuses = await asyncio.gather(*(status_with(gateway, each) for each in tokens))
    assert set(statuses) == {401}
    assert issuer.calls == 1


@pytest.mark.parametrize("fault", ["down", "slow", "no set", "no JSON", "huge", "moved"])
async def test_keys_are_kept_while_the_issuer_is_away(
    gateway: Gateway, issuer: KeyServer, fault: str
) -> None:
    assert await status_with(gateway, issue()) == 200
    match fault:
        case "down":
            issuer.status = 500
        case "slow":
            issuer.delay_seconds = 2 * FETCH_SECONDS
        case "no set":
            issuer.body = to_json({"keys": []})
        case "no JSON":
            issuer.body = b"<html>"
        case "huge":
            issuer.body = key_set(SECOND)[:-1] + b', "x": "' + b"x" * key_sets.SET_BYTES + b'"}'
        case "moved":
            issuer.status = 302
    before = metrics.KEY_SET_FAILURES._value.get()
    allow_fetch(gateway)
    assert await status_with(gateway, issue({"kid": "second"}, key=SECOND)) == 401
    assert metrics.KEY_SET_FAILURES._value.get() == before + 1
    assert issuer.calls == 2, "a redirection was followed"
    assert await status_with(gateway, issue(sub="another")) == 200


async def test_a_stale_set_is_fetched_behind_the_calls(issuer: KeyServer) -> None:
    keys = KeySet(issuer.url, "RS256")
    try:
        assert (await keys.read()).keys() == {"first"}
        issuer.body = key_set(SECOND)
        issuer.delay_seconds = 0.2
        keys._tried_at -= key_sets.FRESH_SECONDS
        assert (await keys.read()).keys() == {"first"}, "the call waited"
        async with asyncio.timeout(10):
            while (await keys.read()).keys() != {"second"}:
                await asyncio.sleep(0.05)
        assert issuer.calls == 2
    finally:
        await keys.stop()


async def test_an_issuer_that_was_never_there_is_503(make_settings: MakeSettings) -> None:
    settings = make_settings(jwt_jwks="http://127.0.0.1:1/jwks.json", **RULES)
    async with open_gateway(settings) as gateway:
        assert (await gateway.client.get(LEADS)).status_code == 200, "keys work all the same"
        del gateway.client.headers["x-api-key"]
        answer = await gateway.client.get(LEADS, headers=bearer(issue()))
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1


async def test_a_file_may_hold_the_keys(make_settings: MakeSettings, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    keys = KeySet(str(file), "RS256")
    with pytest.raises(KeysUnavailable):
        await keys.read()
    file.write_bytes(key_set(FIRST))
    async with open_gateway(make_settings(jwt_jwks=str(file), **RULES)) as gateway:
        del gateway.client.headers["x-api-key"]
        assert await status_with(gateway, issue()) == 200
        file.write_bytes(key_set(SECOND))
        allow_fetch(gateway)
        assert await status_with(gateway, issue({"kid": "second"}, key=SECOND)) == 200


async def test_a_remembered_token_ends_when_it_ends(gateway: Gateway) -> None:
    ends = time.time() + 1.2
    token = issue(exp=ends - 30)  # 30 s of leeway.
    assert await status_with(gateway, token) == 200
    await asyncio.sleep(1.5)
    assert await status_with(gateway, token) == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"jwt_issuer": ""},
        {"jwt_audience": ""},
        {"jwt_algorithm": "HS256"},
        {"jwt_algorithm": "none"},
        {"jwt_jwks": "http://id.example.com/jwks.json"},
        {"jwt_roles": {"x": "root"}},
        {"jwt_leeway_seconds": 3_600},
    ],
)
def test_rules_that_are_none_are_refused(
    make_settings: MakeSettings, changes: dict[str, Any]
) -> None:
    good = {"jwt_jwks": "https://id.example.com/jwks.json", **RULES}
    make_settings(**good)
    with pytest.raises(ValidationError):
        make_settings(**{**good, **changes})


async def test_a_key_that_says_nothing_is_no_missing_one(gateway: Gateway) -> None:
    """A header that is there counts: a token beside it does not let in."""
    headers = {**bearer(issue(workspace=gateway.workspace)), "x-api-key": ""}
    answer = await gateway.client.get("/api/automation/leads", headers=headers)
    assert answer.status_code == 401
