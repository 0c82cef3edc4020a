"""Whom a workspace may write to: as callers say it, and as the connectors' roles then see it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from hashlib import sha256
from typing import Any, Final

import asyncpg
import orjson
import pytest
from gateway.auth.access import Role
from gateway.repeats import HEADER
from gateway.sending.schemas import SuppressionDraft
from mirsal_runtime.failures import ActionRequired, PermanentError, ThrottledError
from mirsal_runtime.postgres import open_pool
from mirsal_runtime.queries import load_queries
from mirsal_runtime.suppressions import FRESH_SECONDS, Suppressions
from mirsal_runtime.vault.keys import GivenKeys, write_new_key
from pydantic import SecretStr

from services.gateway.tests.conftest import Gateway, MakeSettings, open_gateway
from services.gateway.tests.listed_addresses import API

SARA: Final = "sara@example.com"
PHONE: Final = "+966501234567"
WITH_WORKSPACE: Final = """
SELECT attrelid::regclass::text AS name
  FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
 WHERE attname = 'workspace' AND relkind = 'r' AND relnamespace = 'gateway'::regnamespace
"""
MakeLists = Callable[..., Awaitable[Suppressions]]


class Counting:
    """A pool whose statements are counted."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.queries = 0

    async def fetch(self, *arguments: Any) -> Any:
        self.queries += 1
        return await self._pool.fetch(*arguments)


@pytest.fixture
async def make_lists(gateway: Gateway) -> AsyncIterator[MakeLists]:
    """The lists as a connector reads them: `await make_lists("email")`."""
    async with AsyncExitStack() as stack:

        async def make(channel: str, **options: Any) -> Suppressions:
            url, keys = gateway.settings.database_url, gateway.settings.vault_keys
            role = f"mirsal_{channel}_worker"
            pool = await open_pool(url, role=role, application="tests", size=1)
            stack.push_async_callback(pool.close)
            ring = GivenKeys(options.pop("keys", keys))
            return Suppressions(pool, ring, channel, **options)

        yield make


async def save(
    gateway: Gateway, address: str, status: int = 200, key: str | None = None, **members: Any
) -> dict[str, Any]:
    """List an address; the answer."""
    draft = {"channel": "whatsapp" if address.startswith("+") else "email", "address": address}
    answer = await gateway.client.post(
        f"{API}/suppressions", json={**draft, **members}, headers={HEADER: key} if key else {}
    )
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def hold(gateway: Gateway, channel: str, *, only_listed: bool) -> None:
    """Hold a channel to listed addresses, or no more."""
    answer = await gateway.client.put(f"{API}/sending/{channel}", json={"onlyListed": only_listed})
    assert answer.status_code == 200, answer.text


async def is_refused(lists: Suppressions, gateway: Gateway, *recipients: str) -> bool:
    """Whether a message to these is."""
    if not await lists.has_rules(gateway.workspace):
        return False
    refusal = None
    try:
        await lists.check(gateway.workspace, recipients)
    except PermanentError as error:
        refusal = error
    if refusal is None:
        return False
    assert refusal.code == "recipient_suppressed"
    assert not [each for each in recipients if each in refusal.message]
    return True


async def test_who_is_denied_is_refused_whatever_the_case(
    gateway: Gateway, make_lists: MakeLists
) -> None:
    await save(gateway, " Sara@EXAMPLE.com ")
    lists = await make_lists("email")
    assert await is_refused(lists, gateway, "SARA@example.com")
    assert await is_refused(lists, gateway, "ali@example.com", SARA)
    assert not await is_refused(lists, gateway, "ali@example.com")
    assert not await is_refused(lists, gateway)
    await save(gateway, "ali@example.com")
    assert await is_refused(lists, gateway, "ali@example.com"), "it counts at once"


async def test_an_international_domain_is_compared_as_mails_have_it(
    gateway: Gateway, make_lists: MakeLists
) -> None:
    await save(gateway, "a@Bücher.example")
    assert await is_refused(await make_lists("email"), gateway, "a@xn--bcher-kva.example")


async def test_a_number_is_one_however_it_is_written(
    gateway: Gateway, make_lists: MakeLists
) -> None:
    await save(gateway, "+966 50-123 4567")
    assert await is_refused(await make_lists("whatsapp"), gateway, PHONE)


async def test_a_channel_held_to_its_list_writes_to_nobody_else(
    gateway: Gateway, make_lists: MakeLists
) -> None:
    await hold(gateway, "email", only_listed=True)
    lists = await make_lists("email")
    assert await is_refused(lists, gateway, SARA)
    await save(gateway, SARA, kind="allow")
    assert not await is_refused(lists, gateway, SARA)
    assert await is_refused(lists, gateway, SARA, "ali@example.com")
    await hold(gateway, "email", only_listed=False)
    later = await make_lists("email")
    assert not await is_refused(later, gateway, "ali@example.com")


async def test_who_said_no_is_not_listed_by_an_import(gateway: Gateway) -> None:
    denied = await save(gateway, SARA)
    await save(gateway, SARA, 409, key="k", kind="allow")
    assert (await gateway.client.delete(f"{API}/suppression/{denied['suppressionId']}")).is_success
    allowed = await save(gateway, SARA, key="k", kind="allow")
    assert allowed["kind"] == "allow"
    assert (await save(gateway, SARA, reason="asked"))["kind"] == "deny"


async def test_a_workspaces_channels_and_others_lists_are_apart(
    gateway: Gateway, make_lists: MakeLists, make_settings: MakeSettings
) -> None:
    await save(gateway, SARA)
    mail, chat = await make_lists("email"), await make_lists("whatsapp")
    async with open_gateway(make_settings()) as other:
        await save(other, "ali@example.com")
        assert not await is_refused(mail, other, SARA)
        assert await is_refused(mail, other, "ali@example.com")
    assert await is_refused(mail, gateway, SARA)
    assert not await chat.has_rules(gateway.workspace)
    for table in ("suppressions", "sending_policies"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await mail._pool.fetch(f"SELECT * FROM gateway.{table}")  # noqa: S608 - ours


async def test_the_first_rule_is_seen_within_seconds(
    gateway: Gateway, make_lists: MakeLists
) -> None:
    now = 0.0
    lists = await make_lists("email", clock=lambda: now)
    assert not await lists.has_rules(gateway.workspace)
    await save(gateway, SARA)
    assert not await lists.has_rules(gateway.workspace), "nobody is asked for each message"
    now += FRESH_SECONDS
    assert await lists.has_rules(gateway.workspace)


async def test_messages_of_a_moment_share_a_statement(
    gateway: Gateway, make_lists: MakeLists
) -> None:
    await save(gateway, SARA)
    lists = await make_lists("email")
    counted = Counting(lists._pool)
    pool: Any = counted
    both = Suppressions(pool, GivenKeys(gateway.settings.vault_keys), "email")
    mails = [(SARA,) if number % 2 else (f"m{number}@example.com",) for number in range(50)]
    answers = await asyncio.gather(*(is_refused(both, gateway, *each) for each in mails))
    assert answers == [each == (SARA,) for each in mails]
    assert counted.queries <= 4, "one of all that wait, and one of those that came meanwhile"
    before = counted.queries
    for _ in range(10):
        assert not await both.has_rules("others")
    assert counted.queries == before


async def test_leads_that_are_not_sealed_need_no_other_way(
    make_settings: MakeSettings, make_lists: MakeLists
) -> None:
    async with open_gateway(make_settings(seal_leads=False)) as gateway:
        await save(gateway, SARA)
        assert await is_refused(await make_lists("email"), gateway, SARA)


async def test_what_does_not_open_has_a_person_act(gateway: Gateway, make_lists: MakeLists) -> None:
    await save(gateway, SARA)
    other = SecretStr(write_new_key("other"))
    with pytest.raises(ActionRequired) as refused:
        await is_refused(await make_lists("email", keys=other), gateway, SARA)
    assert refused.value.code == "suppressions_unreadable"
    with pytest.raises(ThrottledError) as caught:
        await is_refused(await make_lists("email", keys=SecretStr("")), gateway, SARA)
    assert caught.value.code == "suppressions_unknown"


async def test_rules_that_cannot_be_looked_up_anew_are_not_taken_for_the_last_known(
    gateway: Gateway, make_lists: MakeLists
) -> None:
    await save(gateway, SARA)
    now = 0.0
    lists = await make_lists("email", clock=lambda: now)
    assert not await is_refused(lists, gateway, "ali@example.com")
    await lists._pool.close()
    with pytest.raises(ThrottledError) as caught:
        await is_refused(lists, gateway, "ali@example.com")
    assert caught.value.code == "suppressions_unknown"
    now += FRESH_SECONDS
    with pytest.raises(ThrottledError):
        await lists.has_rules("others")


async def test_a_role_sees_its_own_channel_and_nobody_an_address(
    gateway: Gateway, make_lists: MakeLists
) -> None:
    await save(gateway, SARA)
    await save(gateway, PHONE)
    seen = {
        channel: [
            await (await make_lists(channel))._pool.fetch(
                f"SELECT * FROM gateway.{view} WHERE workspace = $1",  # noqa: S608 - ours
                gateway.workspace,
            )
            for view in ("published_sending_policies", "published_suppressions")
        ]
        for channel in ("email", "whatsapp")
    }
    assert {channel: [len(rows) for rows in views] for channel, views in seen.items()} == {
        "email": [1, 1],
        "whatsapp": [1, 1],
    }
    assert seen["email"][1] != seen["whatsapp"][1]
    assert list(seen["email"][1][0].keys()) == ["workspace", "kind", "address_index"]


async def test_an_address_is_found_by_an_index_however_many_there_are(
    gateway: Gateway, make_lists: MakeLists
) -> None:
    """The views are barriers: joined with what is wanted, all of a channel would be read."""
    await save(gateway, SARA)
    lists = await make_lists("email")
    find = load_queries("mirsal_runtime", "suppressions.sql")["find"]
    plan = await lists._pool.fetch(f"EXPLAIN {find}", [b"x", b"y"])
    condition = next(row[0] for row in plan if "Index Cond" in row[0])
    assert "(address_index = ANY" in condition


async def test_no_answer_and_no_table_has_an_address(gateway: Gateway) -> None:
    owner = await gateway.add_key(gateway.workspace, role=Role.OWNER)
    answers = [await save(gateway, SARA, key="once"), await save(gateway, PHONE)]
    assert [each["masked"] for each in answers] == ["s…@example.com", "+966…67"]
    listed = (await gateway.client.get(f"{API}/suppressions")).json()
    assert listed == {"items": answers, "nextCursor": None}
    audit = await gateway.client.get(f"{API}/audit", headers={"x-api-key": owner})
    rows = [
        row["text"]
        for table in await gateway.sql.fetch(WITH_WORKSPACE)
        for row in await gateway.sql.fetch(
            f"SELECT row_to_json(kept)::text AS text FROM {table['name']} AS kept"  # noqa: S608 - ours
            " WHERE workspace = $1",
            gateway.workspace,
        )
    ]
    assert sum("masked" in row for row in rows) == 2
    assert len([row for row in rows if "suppression.saved" in row]) == 2
    text = orjson.dumps([listed, audit.json()]).decode() + str(rows)
    for secret in ("sara", "966501234567", PHONE[4:-2]):
        assert secret not in text


async def test_what_is_kept_of_a_key_lets_nobody_try_addresses(gateway: Gateway) -> None:
    await save(gateway, PHONE, key="k")
    draft = SuppressionDraft(channel="whatsapp", address=PHONE)
    kept = await gateway.sql.fetchval(
        "SELECT body_hash FROM gateway.idempotency_keys WHERE workspace = $1", gateway.workspace
    )
    assert kept != sha256(draft.model_dump_json(by_alias=True).encode()).digest()
    await save(gateway, PHONE, key="k")
    await save(gateway, PHONE, 422, key="k", reason="other")


async def test_a_list_is_filtered_and_what_is_removed_is_gone(gateway: Gateway) -> None:
    mail = await save(gateway, SARA)
    chat = await save(gateway, PHONE, kind="allow")
    for query, expected in (
        ("channel=email", [mail]),
        ("kind=allow", [chat]),
        ("channel=email&kind=allow", []),
    ):
        found = await gateway.client.get(f"{API}/suppressions?{query}")
        assert found.json()["items"] == expected, query
    path = f"{API}/suppression/{mail['suppressionId']}"
    assert (await gateway.client.delete(path)).json() == mail
    assert (await gateway.client.delete(path)).status_code == 404
    assert (await gateway.client.delete(f"{API}/suppression/nobody")).status_code == 404


@pytest.mark.parametrize(
    "draft",
    [
        {"channel": "email", "address": "sara"},
        {"channel": "email", "address": f"Sara <{SARA}>"},
        {"channel": "whatsapp", "address": SARA},
        {"channel": "whatsapp", "address": "0501234567"},
    ],
)
async def test_what_is_no_address_is_refused(gateway: Gateway, draft: dict[str, str]) -> None:
    answer = await gateway.client.post(f"{API}/suppressions", json=draft)
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/address"]


async def test_policies_are_read_as_they_were_said(gateway: Gateway) -> None:
    free = {"onlyListed": False, "updatedBy": None, "updatedAt": None}
    assert (await gateway.client.get(f"{API}/sending")).json() == {"email": free, "whatsapp": free}
    await save(gateway, PHONE)
    await hold(gateway, "email", only_listed=True)
    found = (await gateway.client.get(f"{API}/sending")).json()
    assert found["whatsapp"] == free
    assert (found["email"]["onlyListed"], found["email"]["updatedBy"]) == (True, "tests")
    assert (await gateway.client.put(f"{API}/sending/sms", json={})).status_code == 422
