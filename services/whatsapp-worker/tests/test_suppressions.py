"""Whom a workspace may write to, by the worker, PostgreSQL and the simulator: what arrives."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final, NamedTuple
from uuid import uuid4

import asyncpg
import pytest
from mirsal_contracts.commands import RunNode
from mirsal_contracts.statuses import NodeFailed, NodeSucceeded
from mirsal_runtime.daily_cap import DailyCap
from mirsal_runtime.suppressions import Suppressions
from mirsal_runtime.vault.address_index import derive_index_key, index_address
from mirsal_runtime.vault.keys import GivenKeys, write_new_key
from mirsal_runtime.vault.sealing import data_key_context, make_key
from mirsal_testing.commands import make_command
from mirsal_testing.ledger_migration import migrate_twice
from mirsal_testing.servers import Server
from mirsal_testing.servers.apart import run_apart
from mirsal_testing.servers.databases import create_database, drop_database, with_database
from mirsal_testing.simulators.whatsapp import WhatsAppSimulator
from mirsal_testing.worker_rig import WorkerRig
from pydantic import SecretStr
from whatsapp_worker.main import connector

SECRET: Final = "EAAB-s3cr3t-t0ken"
DENIED: Final = "+966501234567"
ACTS_AS: Final = {"role": "mirsal_whatsapp_worker", "search_path": "whatsapp_worker"}


class Lists(NamedTuple):
    """A workspace's lists, as the gateway would write them."""

    url: str
    workspace: str
    data_key: bytes
    keeper: GivenKeys

    async def begin(self, *, only_listed: bool) -> None:
        """Have a policy, and nobody listed."""
        key_id = uuid4()
        context = data_key_context(self.workspace, key_id)
        wrapped = await self.keeper.wrap(self.data_key, context)
        connection = await asyncpg.connect(self.url)
        await connection.execute(
            "INSERT INTO gateway.workspace_keys (id, workspace, key_id, wrapped)"
            " VALUES ($1, $2, $3, $4)",
            key_id, self.workspace, wrapped.key_id, wrapped.text,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO gateway.sending_policies (workspace, channel, only_listed, data_key)"
            " VALUES ($1, 'whatsapp', $2, $3)",
            self.workspace, only_listed, key_id,
        )  # fmt: skip
        await connection.close()

    async def add(self, number: str, kind: str) -> None:
        """List a number."""
        index = index_address(derive_index_key(self.data_key), "whatsapp", number)
        connection = await asyncpg.connect(self.url)
        await connection.execute(
            "INSERT INTO gateway.suppressions"
            " (id, workspace, channel, kind, address_index, masked, created_by)"
            " VALUES ($1, $2, 'whatsapp', $3, $4, '', 'tests')",
            uuid4(), self.workspace, kind, index,
        )  # fmt: skip
        await connection.close()


@pytest.fixture(scope="module")
def database(postgres_server: Server) -> Iterator[str]:
    """A database of this module's, with the schemas as a deployment makes them."""
    name = f"test_{secrets.token_hex(6)}"
    run_apart(create_database(postgres_server.url, name))
    url = with_database(postgres_server.url, name)
    for package in ("gateway", "whatsapp_worker"):
        run_apart(migrate_twice(package, url))
    yield url
    run_apart(drop_database(postgres_server.url, name))


@pytest.fixture
def lists(database: str) -> Lists:
    """Of a workspace of this test's."""
    keeper = GivenKeys(SecretStr(write_new_key("tests")))
    return Lists(database, f"w-{secrets.token_hex(4)}", make_key(), keeper)


@pytest.fixture
async def rig(
    lists: Lists,
    simulator: WhatsAppSimulator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> AsyncIterator[WorkerRig]:
    """One process of the connector; its workspace has one recipient a day."""
    settings = {
        "BASE_URL": simulator.url, "TOKEN": SECRET, "PHONE_NUMBER_ID": "1055",
        "DEFAULT_REGION": "SA",
    }  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(f"MIRSAL_WHATSAPP_{name}", value)
    async with asyncpg.create_pool(
        lists.url, min_size=1, max_size=4, server_settings=ACTS_AS
    ) as pool:
        known = Suppressions(pool, lists.keeper, "whatsapp")
        cap = DailyCap(pool, {lists.workspace: 1})
        async with WorkerRig(connector, tmp_path, cap=cap, suppressions=known) as running:
            yield running


def command(workspace: str, to: str) -> RunNode:
    return make_command("whatsapp", {"to": to, "text": "مرحباً"}, workspace=workspace)


@pytest.mark.parametrize("to", [DENIED, "0501234567", "00966 50 123 4567"])
async def test_who_is_denied_gets_nothing_however_the_number_is_written(
    lists: Lists, rig: WorkerRig, simulator: WhatsAppSimulator, to: str
) -> None:
    await lists.begin(only_listed=False)
    await lists.add(DENIED, "deny")
    for _ in range(2):
        refused = await rig.run(command(lists.workspace, to))
        assert isinstance(refused, NodeFailed)
        assert (refused.kind, refused.error.code) == ("permanent", "recipient_suppressed")
    assert not simulator.messages
    # Who is refused takes no place of the day.
    assert isinstance(await rig.run(command(lists.workspace, "+966501234568")), NodeSucceeded)


async def test_held_to_its_list_a_workspace_writes_to_nobody_else(
    lists: Lists, rig: WorkerRig, simulator: WhatsAppSimulator
) -> None:
    await lists.begin(only_listed=True)
    await lists.add(DENIED, "allow")
    refused = await rig.run(command(lists.workspace, "+966501234568"))
    assert isinstance(refused, NodeFailed)
    assert refused.error.code == "recipient_suppressed"
    assert isinstance(await rig.run(command(lists.workspace, DENIED)), NodeSucceeded)
    assert len(simulator.messages) == 1


async def test_what_was_sent_before_the_number_was_listed_stays_sent(
    lists: Lists, rig: WorkerRig, simulator: WhatsAppSimulator
) -> None:
    await lists.begin(only_listed=False)
    sent = command(lists.workspace, DENIED)
    assert isinstance(await rig.run(sent), NodeSucceeded)
    await lists.add(DENIED, "deny")
    rig.deliver(sent)
    assert isinstance(await rig.status_of(sent, count=2), NodeSucceeded)
    assert len(simulator.messages) == 1


async def test_who_has_no_rules_writes_to_everybody(
    rig: WorkerRig, simulator: WhatsAppSimulator
) -> None:
    assert isinstance(await rig.run(command("others", DENIED)), NodeSucceeded)
    assert len(simulator.messages) == 1


async def test_nobody_is_written_to_while_the_lists_cannot_be_read(
    lists: Lists, rig: WorkerRig, simulator: WhatsAppSimulator
) -> None:
    connection = await asyncpg.connect(lists.url)
    revoke = "REVOKE SELECT ON gateway.published_sending_policies FROM mirsal_whatsapp_worker"
    await connection.execute(revoke)
    try:
        later = await rig.run(command("others", DENIED))
    finally:
        await connection.execute(revoke.replace("REVOKE", "GRANT").replace("FROM", "TO"))
        await connection.close()
    assert isinstance(later, NodeFailed)
    assert (later.kind, later.error.code) == ("throttled", "suppressions_unknown")
    assert not simulator.messages
