"""The gateway's way to PostgreSQL: every call has a deadline, and says when the server is away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
import structlog
from mirsal_runtime.postgres import open_pool

from gateway.deadlines import within
from gateway.settings import GatewaySettings

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

ROLE = "gateway"
CALL_SECONDS = 3.5
"""A call, the wait for a free connection included: answers stay within 5 s."""
STATEMENT_SECONDS = 3.0
LOCK_SECONDS = 2.0
CLOSE_SECONDS = 2.0

log = structlog.get_logger(__name__)

AnswerT = TypeVar("AnswerT")

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


class Transaction:
    """Statements of one transaction, while `Database.transact` runs."""

    def __init__(self, connection: "PoolConnectionProxy[asyncpg.Record]") -> None:
        self._connection = connection

    async def fetch(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """The statement's rows."""
        return await self._connection.fetch(statement, *values)

    async def fetch_row(self, statement: str, *values: Any) -> asyncpg.Record | None:
        """The statement's first row."""
        rows = await self.fetch(statement, *values)
        return rows[0] if rows else None


class Database:
    """A pool of connections whose calls raise `DatabaseUnavailable` within `CALL_SECONDS`."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    async def fetch(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """The statement's rows."""
        with _unavailable():
            return await within(CALL_SECONDS, self._pool.fetch(statement, *values))

    async def fetch_row(self, statement: str, *values: Any) -> asyncpg.Record | None:
        """The statement's first row."""
        rows = await self.fetch(statement, *values)
        return rows[0] if rows else None

    async def transact(self, work: Callable[["Transaction"], Awaitable[AnswerT]]) -> AnswerT:
        """What `work` gives, whose statements count together or, if it raises, not at all."""

        async def run() -> AnswerT:
            async with self._pool.acquire() as connection, connection.transaction():
                return await work(Transaction(connection))

        with _unavailable():
            return await within(CALL_SECONDS, run())

    async def check(self) -> str | None:
        """Readiness: None, or what is wrong, in words that anybody may read."""
        try:
            await self.fetch("SELECT")
        except DatabaseUnavailable as error:
            log.warning("database_check_failed", error=str(error))
            return "PostgreSQL does not answer, or is not migrated"
        return None


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except _AWAY as error:
        raise DatabaseUnavailable(f"PostgreSQL did not answer: {error!r}") from error
    except _NOT_MIGRATED as error:
        raise DatabaseUnavailable(f"the database is not migrated: {error}") from error


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
