"""How many recipients a workspace may have a day on a connector's channel (docs/SENDING.md).

What is counted is counted before the claim; what surely had no effect is given back.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from typing import Final, NamedTuple, TypeAlias

import asyncpg

from mirsal_runtime.failures import PermanentError, ThrottledError
from mirsal_runtime.queries import load_queries

EVERY_WORKSPACE: Final = "*"
AWAY_SECONDS: Final = 5.0
# Who waits for a workspace's row holds a connection: the others are the ledger's.
MOST_AT_A_TIME: Final = 2

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

_SQL = load_queries("mirsal_runtime", "daily_cap.sql")
_AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


class Taken(NamedTuple):
    """Places of a workspace's day."""

    workspace: str
    day: date
    recipients: int


def daily_cap_schema() -> str:
    """The table; a connector's migration executes it in its own schema, after `guards()`."""
    return _SQL["table"]


class DailyCap:
    """Counts in the schema that the pool's sessions have as their search path.

    `caps` are recipients a day by workspace; those that are not named have what `*` says, and
    without it no cap: for them nothing is counted, nor is PostgreSQL asked.
    """

    def __init__(self, pool: Pool, caps: Mapping[str, int]) -> None:
        self._pool = pool
        self._caps = caps
        self._turns = asyncio.Semaphore(MOST_AT_A_TIME)

    async def take(self, workspace: str, recipients: int) -> Taken | None:
        """Places for so many recipients; None where the workspace has no cap.

        Raises `ThrottledError` until the next day (UTC) where there are not so many left, and
        `PermanentError` where no day has so many.
        """
        cap = self._caps.get(workspace, self._caps.get(EVERY_WORKSPACE))
        if cap is None:
            return None
        if recipients > cap:
            raise PermanentError(
                "daily_cap_too_small",
                f"a day of this workspace has {cap} recipients on this channel, and this message "
                f"alone has {recipients}: have fewer, or ask whoever runs Mirsal for more",
            )
        try:
            async with self._turns:
                row = await self._pool.fetchrow(_SQL["take"], workspace, recipients, cap)
        except _AWAY:
            row = None
        if row is None:
            raise ThrottledError(
                "daily_cap_unknown",
                "what was sent today cannot be counted at the moment",
                retry_after=AWAY_SECONDS,
            )
        if row["day"] is None:
            raise ThrottledError(
                "daily_cap_reached",
                f"the {cap} recipients that this workspace has a day on this channel were "
                "written to: the next day begins at 00:00 UTC",
                retry_after=row["seconds_left"],
            )
        return Taken(workspace, row["day"], recipients)

    async def give_back(self, taken: Taken) -> None:
        """Nobody was written to. Where PostgreSQL is away they stay counted: never too few are."""
        with suppress(*_AWAY):
            async with self._turns:
                await self._pool.execute(_SQL["give_back"], *taken)
