"""What the runtime's tests share: databases that are emptied, not made, for each test."""

import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from mirsal_runtime.settings import RuntimeSettings
from mirsal_testing.servers import Server
from mirsal_testing.servers.apart import run_apart
from mirsal_testing.servers.databases import create_database, drop_database, with_database
from mirsal_testing.worker_processes import Field, open_field
from mirsal_testing.worker_world import World


@pytest.fixture(scope="module")
def module_database(postgres_server: Server) -> Iterator[str]:
    """The superuser's URL of a database that only this module's tests have."""
    name = f"test_{secrets.token_hex(6)}"
    run_apart(create_database(postgres_server.url, name))
    yield with_database(postgres_server.url, name)
    run_apart(drop_database(postgres_server.url, name))


@pytest.fixture(scope="module")
def ledger_database(module_database: str) -> str:
    """The module's database, with the noop worker's role, schema and ledger."""
    subprocess.run(
        [sys.executable, "-m", "mirsal_testing.noop_worker.migrate"],
        env={**os.environ, "DATABASE_URL": module_database},
        check=True,
        timeout=60,
    )
    return module_database


@pytest.fixture
def field_settings(
    kafka_server: Server, ledger_database: str, kafka_prefix: str
) -> RuntimeSettings:
    """Settings for topics that nobody else has."""
    return RuntimeSettings.model_validate(
        {
            "kafka_bootstrap_servers": kafka_server.url,
            "database_url": ledger_database,
            "topic_prefix": kafka_prefix,
            "instance": "test",
        }
    )


@pytest.fixture
async def field(field_settings: RuntimeSettings, tmp_path: Path) -> AsyncIterator[Field]:
    """Topics of this test's own, statuses gathered, processes killed at the end."""
    async with open_field(field_settings, tmp_path) as opened:
        yield opened


@pytest.fixture
def world(tmp_path: Path) -> World:
    """What the processes of one test share."""
    return World(tmp_path)
