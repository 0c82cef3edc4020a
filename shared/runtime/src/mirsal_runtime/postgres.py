"""Connections to PostgreSQL: pools whose sessions have the service's role, schema and limits."""

import asyncio
from functools import partial

import asyncpg
import orjson
from pydantic import SecretStr

from mirsal_runtime import metrics

CONNECT_SECONDS = 5.0
# A statement's plan is made for the tables as they were: on a new installation, empty.
PLAN_SECONDS = 30

_pools: "list[asyncpg.Pool[asyncpg.Record]]" = []


async def open_pool(
    url: SecretStr,
    *,
    role: str,
    application: str,
    schema: str = "",
    connection_class: type["asyncpg.Connection[asyncpg.Record]"] = asyncpg.Connection,
    size: int = 4,
    statement_seconds: float = 10.0,
    lock_seconds: float = 4.0,
) -> "asyncpg.Pool[asyncpg.Record]":
    """A pool of at most `size` connections that act as `role`, in `schema` or that of its name.

    JSONB goes in and out as Python values. A statement that outlives `statement_seconds`, or
    waits `lock_seconds` for a lock, ends with an error of asyncpg's. The pool opens lazily:
    that the database does not answer shows at the first query.
    """
    pool = await asyncpg.create_pool(
        url.get_secret_value(),
        min_size=0,
        max_size=size,
        timeout=CONNECT_SECONDS,
        command_timeout=statement_seconds + 1,
        max_cached_statement_lifetime=PLAN_SECONDS,
        connection_class=connection_class,
        init=_speak_json,
        reset=_keep_session,
        server_settings={
            "role": role,
            "search_path": schema or role,
            "application_name": application,
            "statement_timeout": str(int(statement_seconds * 1000)),
            "lock_timeout": str(int(lock_seconds * 1000)),
            "timezone": "UTC",
            # All statements find their rows by key. Planned while a table was small, PostgreSQL
            # would read it whole each time, and go on so until it is analysed.
            "enable_seqscan": "off",
        },
    )
    _pools[:] = [*_open_pools(), pool]
    return pool


async def close_pool(pool: "asyncpg.Pool[asyncpg.Record]", *, seconds: float = 2.0) -> None:
    """Close a pool; connections that are busy after `seconds` are cut."""
    try:
        async with asyncio.timeout(seconds):
            await pool.close()
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        pool.terminate()


def _open_pools() -> "list[asyncpg.Pool[asyncpg.Record]]":
    return [pool for pool in _pools if not pool.is_closing()]


def _count_connections(state: str) -> float:
    match state:
        case "most":
            return sum(pool.get_max_size() for pool in _open_pools())
        case "idle":
            return sum(pool.get_idle_size() for pool in _open_pools())
        case _:
            return sum(pool.get_size() - pool.get_idle_size() for pool in _open_pools())


for _state in ("most", "idle", "used"):
    metrics.POOL_CONNECTIONS.labels(_state).set_function(partial(_count_connections, _state))


async def _speak_json(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda data: orjson.loads(data[1:]),
    )


async def _keep_session(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Nothing of ours outlives its transaction, so asyncpg's reset query is a round trip saved."""
