"""The gateway's way to PostgreSQL: every call has a deadline, and says when the server is away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar, cast

import asyncpg
import structlog
from mirsal_runtime.postgres import open_pool
from mirsal_runtime.queries import load_queries

from gateway.deadlines import within
from gateway.settings import GatewaySettings

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection

SCHEMA = "gateway"
ROLE = "mirsal_gateway"
"""What sessions act as. It owns nothing, so the tables' policies hold for it."""
CALL_SECONDS = 3.5
"""A call, the wait for a free connection included: answers stay within 5 s."""
STATEMENT_SECONDS = 3.0
LOCK_SECONDS = 2.0
CLOSE_SECONDS = 2.0

log = structlog.get_logger(__name__)
_SQL = load_queries("gateway", "store.sql")

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


class Everywhere(Enum):
    """Said in place of a workspace by what serves many callers at once, or none."""

    ALL = "on"


class ScopedConnection(_Connection):
    """A session that sees the rows of one workspace, or of all when it is told so.

    The policies of the tables see to that, by two settings of the session. It keeps them until
    somebody asks for another scope, so that most statements cost no second round trip.
    """

    _scope: str | Everywhere | None = None

    async def enter(self, scope: str | Everywhere) -> None:
        """See the scope's rows from now on. Not within a transaction: its end could undo this."""
        if self._scope == scope:
            return
        # Whether an unanswered statement counts is open.
        self._scope = None
        everywhere = isinstance(scope, Everywhere)
        await self.fetch(_SQL["set_scope"], "" if everywhere else scope, "on" if everywhere else "")
        self._scope = scope


class Transaction:
    """Statements of one transaction, while `Database.transact_in` runs."""

    def __init__(self, connection: ScopedConnection) -> None:
        self._connection = connection

    async def fetch(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """The statement's rows."""
        return await self._connection.fetch(statement, *values)

    async def fetch_row(self, statement: str, *values: Any) -> asyncpg.Record | None:
        """The statement's first row."""
        rows = await self.fetch(statement, *values)
        return rows[0] if rows else None


class Database:
    """A pool of connections whose calls raise `DatabaseUnavailable` within `CALL_SECONDS`.

    Every call says whose rows it is about: what a statement forgets to ask, the policies do not.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    async def fetch_in(
        self, scope: str | Everywhere, statement: str, *values: Any
    ) -> list[asyncpg.Record]:
        """The statement's rows; it sees one workspace."""
        with _unavailable():
            return await within(CALL_SECONDS, self._fetch(scope, statement, *values))

    async def fetch_row_in(
        self, scope: str | Everywhere, statement: str, *values: Any
    ) -> asyncpg.Record | None:
        """The statement's first row; it sees one workspace."""
        rows = await self.fetch_in(scope, statement, *values)
        return rows[0] if rows else None

    async def fetch_everywhere(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """The rows of a statement that serves many callers at once, or finds out whose a key is."""
        return await self.fetch_in(Everywhere.ALL, statement, *values)

    async def transact_in(
        self, scope: str | Everywhere, work: Callable[["Transaction"], Awaitable[AnswerT]]
    ) -> AnswerT:
        """What `work` gives, whose statements count together or, if it raises, not at all."""

        async def run() -> AnswerT:
            async with self._pool.acquire() as pooled:
                connection = cast("ScopedConnection", pooled)
                await connection.enter(scope)
                async with connection.transaction():
                    return await work(Transaction(connection))

        with _unavailable():
            return await within(CALL_SECONDS, run())

    async def _fetch(
        self, scope: str | Everywhere, statement: str, *values: Any
    ) -> list[asyncpg.Record]:
        async with self._pool.acquire() as pooled:
            connection = cast("ScopedConnection", pooled)
            await connection.enter(scope)
            return await connection.fetch(statement, *values)

    async def check(self) -> str | None:
        """Readiness: None, or what is wrong, in words that anybody may read."""
        try:
            await self.fetch_everywhere("SELECT")
        except DatabaseUnavailable as error:
            log.warning("database_check_failed", error=error)
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
        schema=SCHEMA,
        connection_class=ScopedConnection,
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
