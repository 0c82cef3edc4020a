"""The gateway's way to PostgreSQL: every call has a deadline, and says when the server is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import structlog
from mirsal_runtime.postgres import open_pool

from gateway.deadlines import within
from gateway.settings import GatewaySettings

ROLE = "gateway"
CALL_SECONDS = 3.5
"""A call, the wait for a free connection included: answers stay within 5 s."""
STATEMENT_SECONDS = 3.0
LOCK_SECONDS = 2.0
CLOSE_SECONDS = 2.0

log = structlog.get_logger(__name__)

_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
)
_NOT_MIGRATED = (
    asyncpg.UndefinedTableError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.InsufficientPrivilegeError,
)


class DatabaseUnavailable(Exception):
    """PostgreSQL did not answer in time: whether a write counts is open."""


class Database:
    """A pool of connections whose calls raise `DatabaseUnavailable` within `CALL_SECONDS`."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    async def fetch(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """The statement's rows."""
        try:
            return await within(CALL_SECONDS, self._pool.fetch(statement, *values))
        except _AWAY as error:
            raise DatabaseUnavailable(f"PostgreSQL did not answer: {error!r}") from error
        except _NOT_MIGRATED as error:
            raise DatabaseUnavailable(f"the database is not migrated: {error}") from error

    async def fetch_row(self, statement: str, *values: Any) -> asyncpg.Record | None:
        """The statement's first row."""
        rows = await self.fetch(statement, *values)
        return rows[0] if rows else None

    async def check(self) -> str | None:
        """Readiness: None, or what is wrong, in words that anybody may read."""
        try:
            await self.fetch("SELECT")
        except DatabaseUnavailable as error:
            log.warning("database_check_failed", error=str(error))
            return "PostgreSQL does not answer, or is not migrated"
        return None


@asynccontextmanager
async def open_database(
    settings: GatewaySettings, *, purpose: str, size: int
) -> AsyncIterator[Database]:
    """A pool that is closed at the end, whatever is still going on."""
    pool = await open_pool(
        settings.database_url,
        role=ROLE,
        application=f"gateway-{purpose}",
        size=size,
        statement_seconds=STATEMENT_SECONDS,
        lock_seconds=LOCK_SECONDS,
    )
    try:
        yield Database(pool)
    finally:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await pool.close()
        except TimeoutError:
            pool.terminate()
