"""Runs that ended long ago, as retention removes them."""

from datetime import timedelta
from typing import NamedTuple

from mirsal_runtime.queries import load_queries

from orchestrator.store.faults import told_apart
from orchestrator.store.runs import Pool

SQL = load_queries("orchestrator.store", "retention.sql")


class Removal(NamedTuple):
    """What became of a page: how many runs were looked at, the last one's id (None where there
    was none), and what was removed."""

    seen: int
    last_id: str | None
    runs: int
    executions: int
    letters: int


class RetentionStore:
    """Raises `DatabaseAway` when it may be tried again."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def remove_ended(self, age: timedelta, after: str, limit: int) -> Removal:
        """Look at the next runs after this id, and remove those that ended longer ago than `age`,
        with their executions and dead letters."""
        with told_apart():
            row = await self._pool.fetchrow(SQL["remove_ended"], age, after, limit)
        if row is None:
            raise ValueError("the statement gives one row")
        last_id = None if row["last_id"] is None else str(row["last_id"])
        return Removal(row["seen"], last_id, row["runs"], row["executions"], row["letters"])
