"""What the runtime's tests share: databases that are emptied, not made, for each test."""

import secrets
from collections.abc import Iterator

import pytest
from mirsal_testing.servers import Server
from mirsal_testing.servers.apart import run_apart
from mirsal_testing.servers.databases import create_database, drop_database, with_database


@pytest.fixture(scope="module")
def module_database(postgres_server: Server) -> Iterator[str]:
    """The superuser's URL of a database that only this module's tests have."""
    name = f"test_{secrets.token_hex(6)}"
    run_apart(create_database(postgres_server.url, name))
    yield with_database(postgres_server.url, name)
    run_apart(drop_database(postgres_server.url, name))
