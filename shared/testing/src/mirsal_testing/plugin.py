"""The pytest plugin of Mirsal: real servers as fixtures, each started when first asked for.

What they hand out lives in `mirsal_testing.servers`. What would have to be downloaded or built
first is there before the first test: a test's time-out is not for that.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirsal_testing.servers.apart import run_apart
from mirsal_testing.servers.cache import cache_folder
from mirsal_testing.servers.choice import ServerName, choose_server
from mirsal_testing.servers.databases import create_database, drop_database, with_database
from mirsal_testing.servers.session import open_session_folder
from mirsal_testing.simulators.fixtures import (  # noqa: F401 - pytest finds them by name
    bigquery_emulator,
    bigquery_simulator,
    sheets_simulator,
    smtp_simulator,
    whatsapp_simulator,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirsal_testing.servers.server import Server


_NEEDY_MARKERS = ("e2e", "chaos")
_NEEDY_FIXTURES = frozenset({"code_guests"})


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch servers and build guests, as `make test` does, if a test that will run needs them."""
    if session.config.option.collectonly or not any(map(_is_needy, session.items)):
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        command = [sys.executable, "-m", "mirsal_testing.stack", "fetch"]
        # Where it fails, the tests that need it fail with its reason; the others may run.
        subprocess.run(command, check=False)  # noqa: S603 - our own


def _is_needy(item: pytest.Item) -> bool:
    fixtures = getattr(item, "fixturenames", ())
    marked = any(item.get_closest_marker(name) for name in _NEEDY_MARKERS)
    return marked or not _NEEDY_FIXTURES.isdisjoint(fixtures)


@pytest.fixture(scope="session")
def code_guests() -> Path:
    """The folder with the interpreters that run customers' code, built before the first test."""
    done = subprocess.run(
        [sys.executable, "-m", "code_runner.build"],
        env={**os.environ, "MIRSAL_CACHE_DIR": str(cache_folder())},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Path(done.stdout.strip())


@pytest.fixture(scope="session")
def mirsal_server_folder() -> Iterator[Path]:
    """The folder of this test run's servers: gone at its end."""
    folder = open_session_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka_server(mirsal_server_folder: Path) -> Iterator[Server]:
    """A running Kafka; `url` is its bootstrap address. One for the whole test run."""
    yield from _run("kafka", mirsal_server_folder)


@pytest.fixture(scope="session")
def postgres_server(mirsal_server_folder: Path) -> Iterator[Server]:
    """A running PostgreSQL; `url` is a superuser's. One for the whole test run."""
    yield from _run("postgres", mirsal_server_folder)


@pytest.fixture(scope="session")
def valkey_server(mirsal_server_folder: Path) -> Iterator[Server]:
    """A running Valkey; `url` is `redis://`. One for the whole test run."""
    yield from _run("valkey", mirsal_server_folder)


@pytest.fixture
def postgres_database(postgres_server: Server) -> Iterator[str]:
    """The superuser's URL of an empty database that only this test has. Roles are shared."""
    name = f"test_{secrets.token_hex(6)}"
    run_apart(create_database(postgres_server.url, name))
    yield with_database(postgres_server.url, name)
    run_apart(drop_database(postgres_server.url, name))


@pytest.fixture
def kafka_prefix() -> str:
    """A prefix for topics and groups that no other test uses: `t1f2e3d4c5b6.`."""
    return f"t{secrets.token_hex(6)}."


def _run(name: ServerName, folder: Path) -> Iterator[Server]:
    server = choose_server(name, folder / name)
    run_apart(server.start())
    yield server
    run_apart(server.stop())
