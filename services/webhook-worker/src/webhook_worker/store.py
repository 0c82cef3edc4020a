"""Deliveries and looks in PostgreSQL; the SQL is in `queries.sql`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

import asyncpg
from mirsal_runtime.queries import load_queries

FORGET_ROWS: Final = 2000

_SQL = load_queries("webhook_worker")
_AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


class Windows(NamedTuple):
    """How far looks go back.

    `overlap`: mostly a write is seen sooner after its time. Each `deep_every`, when all
    transactions have ended that were under way, a look goes back to where it was then, and
    `deep_overlap` more: so long one of the orchestrator's may be under way before it has an id.
    After an outage `slice` is looked through at a time.
    """

    overlap: timedelta = timedelta(seconds=2)
    deep_overlap: timedelta = timedelta(seconds=20)
    deep_every: timedelta = timedelta(seconds=5)
    slice: timedelta = timedelta(minutes=1)


class StoreUnavailable(Exception):
    """PostgreSQL did not answer as it should; whether it did what was asked is open."""


class Glance(NamedTuple):
    """What a look found. `is_behind`: there is more to be looked through at once."""

    added: int = 0
    is_listening: bool = False
    is_behind: bool = False


class Delivery(NamedTuple):
    """One that this process has leased, and where it goes. Secrets are sealed."""

    id: UUID
    workspace: str
    endpoint_id: UUID
    event_type: str
    occurred_at: datetime
    data: dict[str, Any]
    attempts: int
    attempts_before: int
    url: str
    secret: bytes
    previous_secret: bytes | None


class Failure(NamedTuple):
    """Why an attempt failed, and what follows: `delay` None is the end.

    `blames`: it counts against the endpoint; what is the installation's own fault does not.
    """

    status: int | None
    reason: str
    delay: timedelta | None
    duration_ms: int
    disables: bool = False
    blames: bool = True


class WebhookStore:
    """The tables of this service. Every call raises `StoreUnavailable`."""

    def __init__(self, pool: Pool, windows: Windows | None = None) -> None:
        self._pool = pool
        self._windows = windows or Windows()

    async def check(self) -> str | None:
        """Readiness: None, or what is wrong."""
        with _told_apart():
            await self._pool.fetch(_SQL["find_tables"])
        return None

    async def look(self) -> Glance | None:
        """Make deliveries of what became of runs since the last look; None if another one looks."""
        with _told_apart():
            async with self._pool.acquire() as connection, connection.transaction():
                standing = await connection.fetchrow(_SQL["lock_looks"])
                if standing is None:
                    return None
                if not await connection.fetchval(_SQL["note_endpoints"]):
                    await connection.execute(_SQL["skip_look"])
                    return Glance()
                added, is_settled = await self._settle(connection, standing)
                start, now = standing["seen_at"] - self._windows.overlap, standing["now"]
                stop = min(now, standing["seen_at"] + self._windows.slice)
                added += await connection.fetchval(_SQL["look"], start, stop)
                await connection.execute(_SQL["note_seen"], stop)
                if is_settled:
                    await connection.execute(_SQL["note_transactions"])
                return Glance(added, is_listening=True, is_behind=stop < now)

    async def grant_wishes(self) -> int:
        """Do what people want of deliveries; how many are due for it."""
        with _told_apart():
            due: int = await self._pool.fetchval(_SQL["grant_wishes"])
        return due

    async def bury(self) -> None:
        """End what would go to endpoints that are disabled or no more."""
        with _told_apart():
            await self._pool.execute(_SQL["bury"])

    async def read_lateness(self) -> float:
        """Seconds by which the whole installation's webhooks are late, by its own fault."""
        with _told_apart():
            seconds: float = await self._pool.fetchval(_SQL["read_lateness"])
        return seconds

    async def lease(self, most: int, of_endpoint: int, seconds: float) -> Sequence[Delivery]:
        """Take due deliveries, so that no other process does for `seconds`."""
        with _told_apart():
            async with self._pool.acquire() as connection, connection.transaction():
                locked = await connection.fetch(_SQL["lock_due"], most, of_endpoint)
                if not locked:
                    return []
                rows = await connection.fetch(
                    _SQL["lease_due"],
                    [row["endpoint_id"] for row in locked],
                    most,
                    of_endpoint,
                    timedelta(seconds=seconds),
                )
        return [Delivery(**row) for row in rows]

    async def note_delivered(self, delivery: Delivery, status: int, duration_ms: int) -> None:
        """It arrived. Nothing happens if another process has it by now."""
        with _told_apart():
            await self._pool.fetch(
                _SQL["note_delivered"], delivery.id, delivery.attempts, status, duration_ms
            )

    async def note_failed(
        self, delivery: Delivery, failure: Failure, disable_after: timedelta
    ) -> bool:
        """It did not arrive; whether the endpoint is disabled now."""
        with _told_apart():
            row = await self._pool.fetchrow(
                _SQL["note_failed"],
                delivery.id,
                delivery.attempts,
                *failure,
                disable_after,
            )
        return row is not None and bool(row["is_disabled"])

    async def forget(self, keep: timedelta) -> bool:
        """Forget what was over long ago; whether there may be more of it."""
        with _told_apart():
            done = await self._pool.execute(_SQL["forget"], keep, FORGET_ROWS)
            await self._pool.execute(_SQL["forget_traces"])
        return done == f"DELETE {FORGET_ROWS}"

    async def _settle(self, connection: Connection, standing: asyncpg.Record) -> tuple[int, bool]:
        """Look at what transactions that ended late have written.

        What that added, and whether all that was noted is settled.
        """
        noted, settled = standing["noted_at"], standing["settled_at"]
        if noted is None:
            return 0, True
        _, overlap, every, most = self._windows
        is_early = noted > standing["now"] - every and noted - settled < most
        if is_early or not standing["may_settle"]:
            return 0, False
        stop = min(noted, settled + most)
        added: int = await connection.fetchval(_SQL["look"], settled - overlap, stop)
        await connection.execute(_SQL["note_settled"], stop)
        return added, stop == noted


@contextmanager
def _told_apart() -> Iterator[None]:
    try:
        yield
    except _AWAY as error:
        raise StoreUnavailable(f"{type(error).__name__}: {error}") from error
