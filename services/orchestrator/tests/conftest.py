"""The orchestrator's tables on a real PostgreSQL: one database for all tests, emptied for each."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from mirsal_runtime.migrations import migrate
from mirsal_runtime.postgres import open_pool
from mirsal_testing.servers.apart import run_apart
from mirsal_testing.servers.databases import create_database, drop_database, with_database
from mirsal_testing.servers.server import Server
from orchestrator.store.runs import ROLE, SCHEMA, Pool
from pydantic import SecretStr

from services.orchestrator.tests.stage import Stage


@pytest.fixture(scope="session")
def database_url(postgres_server: Server) -> Iterator[str]:
    """A database with the orchestrator's schema; a superuser's URL."""
    name = f"orchestrator_{secrets.token_hex(6)}"
    run_apart(create_database(postgres_server.url, name))
    url = with_database(postgres_server.url, name)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATABASE_URL", url)
        migrate("orchestrator", SCHEMA, application=ROLE)
    yield url
    run_apart(drop_database(postgres_server.url, name))


async def empty(pool: Pool) -> None:
    """Remove all rows, which the service itself may not."""
    await pool.execute(
        "SET LOCAL ROLE NONE; TRUNCATE runs, execution_logs, execution_totals, workflow_graphs,"
        " dead_letters, dead_letter_replays, dead_letter_places"
    )


@pytest_asyncio.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """Sessions as the service has them, on empty tables."""
    pool = await open_pool(SecretStr(database_url), role=ROLE, schema=SCHEMA, application="test")
    await empty(pool)
    yield pool
    await pool.close()


@pytest_asyncio.fixture
async def stage(
    kafka_server: Server, database_url: str, kafka_prefix: str, pool: Pool, tmp_path: Path
) -> AsyncIterator[Stage]:
    """Topics of this test's own, empty tables, and a connector that answers; processes end."""
    stage = Stage(kafka_server, database_url, kafka_prefix, tmp_path)
    await stage.make_topics()
    connector = asyncio.create_task(stage.connect())
    yield stage
    connector.cancel()
    await asyncio.gather(connector, return_exceptions=True)
    await stage.stop()
