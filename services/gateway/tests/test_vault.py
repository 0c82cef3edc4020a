"""What connectors see of the vault: their own type, for some seconds, and nothing that moved."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
import pytest
from gateway.auth.access import Role
from mirsal_contracts.commands import RunNode
from mirsal_contracts.credentials import Account, CredentialType, SmtpAccount
from mirsal_runtime.failures import ActionRequired, PermanentError, ThrottledError
from mirsal_runtime.postgres import open_pool
from mirsal_runtime.queries import load_queries
from mirsal_runtime.vault.accounts import Accounts
from mirsal_runtime.vault.keys import GivenKeys, write_new_key
from mirsal_runtime.vault.reading import STALE_SECONDS, Vault
from mirsal_runtime.vault.settings import VaultSettings
from mirsal_testing.commands import make_command
from pydantic import SecretStr

from services.gateway.tests.conftest import Gateway

PATH = "/api/automation/credential/"
FRESH = 3.0
ROLES: dict[CredentialType, str] = {
    "smtp": "mirsal_email_worker",
    "whatsapp": "mirsal_whatsapp_worker",
    "google": "mirsal_sheets_worker",
}


def smtp(password: str) -> dict[str, Any]:
    account = {"type": "smtp", "host": "smtp.example.com", "username": "a", "password": password}
    return {"account": account}


class Clock:
    """A time that tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self) -> None:
        """So much time that what was seen is looked at again."""
        self.now += FRESH + 0.1


class Reader:
    """A connector's vault on the gateway's database, with a count of its queries."""

    def __init__(self, gateway: Gateway, stack: AsyncExitStack) -> None:
        self._gateway = gateway
        self._stack = stack
        self.clock = Clock()
        self.queries = 0

    async def open(self, kind: CredentialType = "smtp", keys: str | None = None) -> Vault:
        settings = self._gateway.settings
        pool = await open_pool(settings.database_url, role=ROLES[kind], application="tests", size=1)
        self._stack.push_async_callback(pool.close)
        self.pool = pool
        ring = GivenKeys(SecretStr(keys) if keys else settings.vault_keys)
        return Vault(self._count(pool), ring, kind, fresh_seconds=FRESH, clock=self.clock)

    def _count(self, pool: Any) -> Any:
        reader = self

        class Counting:
            """The pool, counted."""

            async def fetch(self, *arguments: Any) -> Any:
                reader.queries += 1
                return await pool.fetch(*arguments)

        return Counting()


@pytest.fixture
async def owner(gateway: Gateway) -> Gateway:
    """The gateway, called by an owner."""
    key = await gateway.add_key(gateway.workspace, role=Role.OWNER)
    gateway.client.headers["x-api-key"] = key
    return gateway


@pytest.fixture
async def reader(owner: Gateway) -> AsyncIterator[Reader]:
    async with AsyncExitStack() as stack:
        yield Reader(owner, stack)


async def put(gateway: Gateway, credential_id: str, password: str) -> None:
    saved = await gateway.client.put(PATH + credential_id, json=smtp(password))
    assert saved.status_code in {200, 201}, saved.text


def command(gateway: Gateway, attempt: int = 1) -> RunNode:
    return make_command("email", workspace=gateway.workspace, attempt=attempt)


def password_of(account: Account) -> str:
    assert isinstance(account, SmtpAccount)
    return account.password.get_secret_value()


async def test_an_account_is_looked_at_seldom_and_seen_when_it_changes(
    owner: Gateway, reader: Reader
) -> None:
    vault, workspace = await reader.open(), owner.workspace
    await put(owner, "support", "first")
    opened = await asyncio.gather(*(vault.open(workspace, "support") for _ in range(50)))
    assert {password_of(each.account) for each in opened} == {"first"}
    assert reader.queries <= 2, "all that come together share a look"
    before = reader.queries
    await put(owner, "support", "second")
    assert (await vault.open(workspace, "support")).revision == opened[0].revision
    assert reader.queries == before
    reader.clock.pass_by()
    again = await vault.open(workspace, "support")
    assert password_of(again.account) == "second"
    assert again.revision != opened[0].revision
    reader.clock.pass_by()
    assert (await vault.open(workspace, "support")).account is again.account, "not opened anew"
    await owner.client.delete(PATH + "support")
    reader.clock.pass_by()
    with pytest.raises(ActionRequired) as refused:
        await vault.open(workspace, "support")
    assert refused.value.code == "credential_missing"
    before = reader.queries
    with pytest.raises(ActionRequired):
        await vault.open(workspace, "support")
    assert reader.queries == before, "what is not there costs no query each time either"


async def test_a_connector_sees_its_own_type_only(owner: Gateway, reader: Reader) -> None:
    await put(owner, "support", "s")
    vault = await reader.open("whatsapp")
    with pytest.raises(ActionRequired, match="of type whatsapp"):
        await vault.open(owner.workspace, "support")
    view = "SELECT count(*) FROM gateway.published_credentials WHERE workspace = $1"
    assert await reader.pool.fetchval(view, owner.workspace) == 0
    await reader.open("smtp")
    assert await reader.pool.fetchval(view, owner.workspace) == 1
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await reader.pool.fetch("SELECT sealed FROM gateway.credentials")
    barrier = (
        "SELECT 'security_barrier=true' = ANY (reloptions) FROM pg_class WHERE oid = $1::regclass"
    )
    assert await owner.sql.fetchval(barrier, "gateway.published_credentials")
    old = "SET ROLE email_worker"
    async with owner.sql.transaction():
        await owner.sql.execute(old)
        assert await owner.sql.fetchval(view, owner.workspace) == 1, "the release before works on"
        await owner.sql.execute("RESET ROLE")
    async with asyncpg.create_pool(
        owner.settings.database_url.get_secret_value(),
        min_size=1,
        max_size=1,
        server_settings={"role": "orchestrator"},
    ) as others:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await others.fetchval(view, owner.workspace)


async def test_an_account_is_found_by_an_index_however_many_there_are(reader: Reader) -> None:
    """The view is a barrier: joined with what is wanted, all of a type would be read."""
    await reader.open("smtp")
    look = load_queries("mirsal_runtime.vault")["look"]
    plan = await reader.pool.fetch(f"EXPLAIN {look}", ["here"], ["support", "sales"], "smtp")
    condition = next(row[0] for row in plan if "Index Cond" in row[0])
    assert "(workspace = ANY" in condition
    assert "(credential_id = ANY" in condition


async def test_two_workspaces_names_are_not_mixed_up(owner: Gateway, reader: Reader) -> None:
    """Asked for one of each, the vault is given the two others as well."""
    there = await owner.add_key("elsewhere", role=Role.OWNER)
    for name in ("support", "sales"):
        await put(owner, name, f"{name} here")
        answer = await owner.client.put(
            f"{PATH}{name}", json=smtp(f"{name} there"), headers={"x-api-key": there}
        )
        assert answer.status_code == 201
    vault = await reader.open("smtp")
    found = await asyncio.gather(
        vault.open(owner.workspace, "support"), vault.open("elsewhere", "sales")
    )
    passwords = [password_of(each.account) for each in found]
    assert passwords == ["support here", "sales there"]


async def test_what_was_moved_does_not_open(owner: Gateway, reader: Reader) -> None:
    await put(owner, "support", "mine")
    await put(owner, "sales", "other")
    move = "UPDATE gateway.credentials SET {} WHERE workspace = $1 AND credential_id = $2"
    moves = [
        # To another id, with the right data key; to another workspace, with its data key too.
        ("credential_id = 'moved'", owner.workspace, "moved"),
        ("workspace = 'thief', credential_id = 'support'", "thief", "support"),
    ]
    for change, workspace, credential_id in moves:
        await owner.sql.execute(move.format(change), owner.workspace, "support")
        vault = await reader.open()
        with pytest.raises(ActionRequired) as refused:
            await vault.open(workspace, credential_id)
        assert refused.value.code == "credential_unreadable"
        assert "mine" not in str(refused.value)
        await put(owner, "support", "mine")
    await owner.sql.execute(
        "UPDATE gateway.credentials AS taker SET sealed = giver.sealed"
        " FROM gateway.credentials AS giver"
        " WHERE taker.workspace = $1 AND taker.credential_id = 'sales'"
        "   AND giver.workspace = $1 AND giver.credential_id = 'support'",
        owner.workspace,
    )
    with pytest.raises(ActionRequired, match="not sealed for"):
        await (await reader.open()).open(owner.workspace, "sales")
    vault = await reader.open(keys=write_new_key("stranger"))
    with pytest.raises(ActionRequired, match="'test-1'"):
        await vault.open(owner.workspace, "support")
    assert password_of((await (await reader.open()).open(owner.workspace, "support")).account)
    await owner.sql.execute("DELETE FROM gateway.credentials WHERE workspace = 'thief'")


async def test_while_postgresql_is_away_what_was_seen_counts_for_a_while(
    owner: Gateway, reader: Reader
) -> None:
    await put(owner, "support", "s")
    vault = await reader.open()
    opened = await vault.open(owner.workspace, "support")
    reader.pool.terminate()
    reader.clock.pass_by()
    assert await vault.open(owner.workspace, "support") == opened
    with pytest.raises(ThrottledError) as told:
        await vault.open(owner.workspace, "unseen")
    assert told.value.code == "credential_unavailable"
    reader.clock.now += STALE_SECONDS
    with pytest.raises(ThrottledError):
        await vault.open(owner.workspace, "support")


class Pools:
    """Resources by account, and which of them are open."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.live: list[str] = []

    @asynccontextmanager
    async def open(self, account: Account) -> AsyncIterator[str]:
        password = password_of(account)
        self.opened.append(password)
        self.live.append(password)
        yield password
        self.live.remove(password)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.01)


async def test_each_account_has_its_own_until_it_is_replaced(
    owner: Gateway, reader: Reader
) -> None:
    await put(owner, "a", "a1")
    await put(owner, "b", "b1")
    pools = Pools()
    accounts = Accounts("own", await reader.open(), pools.open, VaultSettings())
    async with accounts.lend_for(command(owner), "a") as first:
        await put(owner, "a", "a2")
        reader.clock.pass_by()
        async with accounts.lend_for(command(owner), "a") as second:
            assert (first, second) == ("a1", "a2")
            assert pools.live == ["a1", "a2"], "who uses the old one goes on with it"
    await pools.until(lambda: pools.live == ["a2"])
    async with (
        accounts.lend_for(command(owner), "a") as third,
        accounts.lend_for(command(owner), "b") as other,
    ):
        assert (third, other) == ("a2", "b1")
    assert pools.opened == ["a1", "a2", "b1"]
    await put(owner, "b", "b2")
    async with (
        accounts.lend_for(command(owner), "b") as remembered,
        accounts.lend_for(command(owner, attempt=2), "b") as anew,
    ):
        assert (remembered, anew) == ("b1", "b2"), "who tries again sees what was put right"
    await accounts.close()
    assert pools.live == []


@pytest.mark.parametrize(("shared", "is_lent"), [("*", True), ("w , ws_1", True), ("w", False)])
async def test_the_installations_account_is_lent_to_whom_settings_name(
    owner: Gateway, reader: Reader, shared: str, *, is_lent: bool
) -> None:
    settings = VaultSettings(shared_accounts=shared)
    accounts = Accounts("own", await reader.open(), Pools().open, settings)
    command = make_command(workspace="ws_1")
    if is_lent:
        async with accounts.lend_for(command, None) as lent:
            assert lent == "own"
    else:
        with pytest.raises(PermanentError, match="credential_required"):
            accounts.lend_for(command, None)
    await accounts.close()


async def test_what_nobody_uses_is_closed(owner: Gateway, reader: Reader) -> None:
    for name in ("a", "b", "c"):
        await put(owner, name, name)
    pools = Pools()
    settings = VaultSettings(accounts=2, idle_seconds=60)
    accounts = Accounts("own", await reader.open(), pools.open, settings)
    for name in ("a", "b", "a", "c"):
        async with accounts.lend_for(command(owner), name):
            pass
    await pools.until(lambda: pools.live == ["a", "c"])
    async with (
        accounts.lend_for(command(owner), "a"),
        accounts.lend_for(command(owner), "b"),
        accounts.lend_for(command(owner), "c"),
    ):
        assert sorted(pools.live) == ["a", "b", "c"], "who is used counts for no limit"
    await accounts.close()
    accounts = Accounts("own", await reader.open(), pools.open, VaultSettings(idle_seconds=0.05))
    began = time.monotonic()
    async with accounts.lend_for(command(owner), "a"):
        await asyncio.sleep(0.1)
        assert pools.live == ["a"]
    await pools.until(lambda: not pools.live)
    assert time.monotonic() - began >= 0.1
    await accounts.close()
