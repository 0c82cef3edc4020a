"""The worker's tables and those that it reads, on a real PostgreSQL, and a world to tell of."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
import pytest
from mirsal_runtime.migrations import migrate
from mirsal_testing.servers.apart import run_apart
from mirsal_testing.servers.databases import create_database, drop_database, with_database
from mirsal_testing.servers.server import Server
from mirsal_testing.webhook_receiver import Receiver
from mirsal_testing.webhook_world import KEYS, World
from webhook_worker.main import serve
from webhook_worker.settings import WebhookSettings

MakeSettings: TypeAlias = Callable[..., WebhookSettings]
Work: TypeAlias = Callable[..., AbstractAsyncContextManager[None]]


@pytest.fixture(scope="session")
def database_url(postgres_server: Server) -> Iterator[str]:
    """A database with the worker's schema and those that it reads; a superuser's URL."""
    name = f"webhooks_{secrets.token_hex(6)}"
    run_apart(create_database(postgres_server.url, name))
    url = with_database(postgres_server.url, name)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATABASE_URL", url)
        # First the one whose rights the others give.
        for role in ("webhook_worker", "gateway", "orchestrator"):
            migrate(role, role, application=f"mirsal_{role}")
    yield url
    run_apart(drop_database(postgres_server.url, name))


@pytest.fixture
async def sql(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A superuser's session on empty tables."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "TRUNCATE webhook_worker.deliveries, webhook_worker.endpoint_states, webhook_worker.rests, "
        "webhook_worker.wishes_granted, gateway.webhook_endpoints, gateway.webhook_wishes, "
        "orchestrator.runs"
    )
    await connection.execute(
        "UPDATE webhook_worker.looks SET seen_at = now(), settled_at = now(), noted_at = NULL, "
        "noted_xmax = NULL"
    )
    yield connection
    await connection.close()


@pytest.fixture
def world(sql: "asyncpg.Connection[asyncpg.Record]") -> World:
    return World(sql)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as opened:
        yield opened


@pytest.fixture
def make_settings(database_url: str) -> MakeSettings:
    """Settings of a worker that may call loopback, and tries again within tenths of seconds."""
    own: dict[str, Any] = {
        "DATABASE_URL": database_url,
        "vault_keys": KEYS,
        "outbound_networks": "127.0.0.0/8",
        "webhook_call_seconds": 2.0,
        "webhook_retry_seconds": "0.1,0.2",
    }

    def make(**changes: Any) -> WebhookSettings:
        return WebhookSettings(**{**own, **changes})

    return make


@pytest.fixture
def work(make_settings: MakeSettings) -> Work:
    """A worker at work in this process, while the context is open."""

    @asynccontextmanager
    async def run(**changes: Any) -> AsyncIterator[None]:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve(make_settings(**changes), stop))
            yield
            stop.set()

    return run
