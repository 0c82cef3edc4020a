"""The worker's own tables on a real PostgreSQL, and a Google that it is pointed at."""

import json
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from mirsal_runtime.migrations import migrate
from mirsal_testing.servers.apart import run_apart
from mirsal_testing.servers.databases import create_database, drop_database, with_database
from mirsal_testing.servers.server import Server
from mirsal_testing.sheet_world import SheetWorld
from mirsal_testing.simulators.bigquery import BigQuerySimulator
from mirsal_testing.simulators.sheets import SheetsSimulator, SheetsSimulatorClient
from mirsal_testing.worker_rig import WorkerRig
from redis.asyncio import Redis
from sheets_worker.main import connector
from sheets_worker.process import ROLE

SPREADSHEET = "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms"


@pytest.fixture(scope="session")
def database_url(postgres_server: Server) -> Iterator[str]:
    """A database with the worker's schema; a superuser's URL."""
    name = f"sheets_{secrets.token_hex(6)}"
    run_apart(create_database(postgres_server.url, name))
    url = with_database(postgres_server.url, name)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATABASE_URL", url)
        migrate("sheets_worker", "sheets_worker", application=ROLE)
    yield url
    run_apart(drop_database(postgres_server.url, name))


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A session on empty tables."""
    connection = await asyncpg.connect(
        database_url, server_settings={"search_path": "sheets_worker"}
    )
    await connection.execute("TRUNCATE tabs, written_rows, workbooks")
    yield connection
    await connection.close()


@pytest.fixture
async def google(
    database: "asyncpg.Connection[asyncpg.Record]",
    database_url: str,
    valkey_server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[SheetsSimulator]:
    """A Google with an empty spreadsheet, which the environment points at.

    What other tests' refusals taught of its quotas is forgotten.
    """
    async with Redis.from_url(valkey_server.url) as redis:
        await redis.flushdb()
    async with SheetsSimulator() as simulator:
        simulator.add_spreadsheet(SPREADSHEET)
        credentials = tmp_path / "credentials.json"
        credentials.write_text(json.dumps(simulator.service_account_info), "utf-8")
        settings = {
            "MIRSAL_SHEETS_BASE_URL": simulator.url,
            "MIRSAL_GOOGLE_CREDENTIALS_FILE": str(credentials),
            "MIRSAL_STATE_DIR": str(tmp_path),
            "DATABASE_URL": database_url,
            "REDIS_URL": valkey_server.url,
            "MIRSAL_SHEETS_GROUP_SECONDS": "0.02",
            "MIRSAL_SHEETS_SETTLE_SECONDS": "2",
            "MIRSAL_SHEETS_USER_READS_PER_MINUTE": "10000",
            "MIRSAL_SHEETS_USER_WRITES_PER_MINUTE": "10000",
            "MIRSAL_SHEETS_READS_PER_MINUTE": "10000",
            "MIRSAL_SHEETS_WRITES_PER_MINUTE": "10000",
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        yield simulator


@pytest.fixture
async def sheets(google: SheetsSimulator) -> AsyncIterator[SheetsSimulatorClient]:
    """What a person sees of the spreadsheet, and does to it."""
    async with SheetsSimulatorClient(google.url) as client:
        yield client


@pytest.fixture
async def places(
    google: SheetsSimulator,
    bigquery_simulator: BigQuerySimulator,
    monkeypatch: pytest.MonkeyPatch,
) -> SheetsSimulator:
    """The environment points at both."""
    monkeypatch.setenv("MIRSAL_BIGQUERY_BASE_URL", bigquery_simulator.url)
    monkeypatch.setenv("MIRSAL_BIGQUERY_PROJECT", bigquery_simulator.project)
    monkeypatch.setenv("MIRSAL_SHEETS_BACKFILL_SECONDS", "0.2")
    return google


@pytest.fixture
async def rig(places: SheetsSimulator, tmp_path: Path) -> AsyncIterator[WorkerRig]:
    del places
    async with WorkerRig(connector, tmp_path, slots=1000) as rig:
        yield rig


@pytest.fixture
def world(
    rig: WorkerRig,
    google: SheetsSimulator,
    sheets: SheetsSimulatorClient,
    bigquery_simulator: BigQuerySimulator,
) -> SheetWorld:
    return SheetWorld(rig, google, sheets, bigquery_simulator)
