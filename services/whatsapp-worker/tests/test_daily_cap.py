"""A workspace's daily cap, by the worker, PostgreSQL and the simulator: what arrives."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from mirsal_contracts.commands import RunNode
from mirsal_contracts.statuses import NodeFailed, NodeSucceeded, NodeUnconfirmed
from mirsal_runtime.daily_cap import DailyCap
from mirsal_testing.commands import make_command
from mirsal_testing.ledger_migration import migrate_twice
from mirsal_testing.servers import Server
from mirsal_testing.servers.apart import run_apart
from mirsal_testing.servers.databases import create_database, drop_database, with_database
from mirsal_testing.simulators.whatsapp import WhatsAppSimulator
from mirsal_testing.worker_rig import WorkerRig
from whatsapp_worker.main import connector

SECRET = "EAAB-s3cr3t-t0ken"
CAP = 10
ACTS_AS = {"role": "mirsal_whatsapp_worker", "search_path": "whatsapp_worker"}


@pytest.fixture(scope="module")
def database(postgres_server: Server) -> Iterator[str]:
    """A database of this module's, with the schema as a deployment makes it."""
    name = f"test_{secrets.token_hex(6)}"
    run_apart(create_database(postgres_server.url, name))
    url = with_database(postgres_server.url, name)
    run_apart(migrate_twice("whatsapp_worker", url))
    yield url
    run_apart(drop_database(postgres_server.url, name))


@pytest.fixture
async def cap(database: str) -> AsyncIterator[DailyCap]:
    """Ten a day for the workspace `tests`, none of them taken yet."""
    async with asyncpg.create_pool(
        database, min_size=1, max_size=4, server_settings=ACTS_AS
    ) as pool:
        await pool.execute("UPDATE daily_sends SET sent = 0")
        yield DailyCap(pool, {"tests": CAP})


@pytest.fixture
async def rig(
    cap: DailyCap,
    simulator: WhatsAppSimulator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> AsyncIterator[WorkerRig]:
    """One process of the connector."""
    settings = {"BASE_URL": simulator.url, "TOKEN": SECRET, "PHONE_NUMBER_ID": "1055"}
    for name, value in settings.items():
        monkeypatch.setenv(f"MIRSAL_WHATSAPP_{name}", value)
    async with WorkerRig(connector, tmp_path, cap=cap) as running:
        yield running


def command(workspace: str = "tests", to: str = "+966501234567") -> RunNode:
    return make_command("whatsapp", {"to": to, "text": "مرحباً"}, workspace=workspace)


async def test_fifty_parallel_starts_make_as_many_messages_as_the_cap_has(
    rig: WorkerRig, simulator: WhatsAppSimulator
) -> None:
    commands = [command() for _ in range(50)]
    rig.deliver(*commands)
    statuses = [await rig.status_of(each) for each in commands]
    assert sum(isinstance(each, NodeSucceeded) for each in statuses) == CAP
    later = [each for each in statuses if isinstance(each, NodeFailed)]
    assert len(later) == 50 - CAP
    assert {(each.kind, each.error.code) for each in later} == {("throttled", "daily_cap_reached")}
    assert all(each.retry_after_seconds for each in later)
    assert len(simulator.messages) == CAP
    assert isinstance(await rig.run(command("others")), NodeSucceeded)


async def test_what_surely_did_not_arrive_is_not_counted(
    rig: WorkerRig, simulator: WhatsAppSimulator
) -> None:
    for _ in range(CAP):
        simulator.fail_next(131026)
        assert isinstance(await rig.run(command()), NodeFailed)
    assert isinstance(await rig.run(command(to="nobody")), NodeFailed)
    for _ in range(CAP - 1):
        assert isinstance(await rig.run(command()), NodeSucceeded)
    simulator.drop_next("after")
    assert isinstance(await rig.run(command()), NodeUnconfirmed)
    last = await rig.run(command())
    assert isinstance(last, NodeFailed)
    assert last.error.code == "daily_cap_reached"


async def test_a_command_that_comes_twice_is_counted_once(
    rig: WorkerRig, simulator: WhatsAppSimulator
) -> None:
    again = command()
    for count in range(1, 4):
        rig.deliver(again)
        assert isinstance(await rig.status_of(again, count=count), NodeSucceeded)
    for _ in range(CAP - 1):
        assert isinstance(await rig.run(command()), NodeSucceeded)
    # A day that is full does not hide what was sent.
    rig.deliver(again)
    assert isinstance(await rig.status_of(again, count=4), NodeSucceeded)
    assert len(simulator.messages) == CAP
