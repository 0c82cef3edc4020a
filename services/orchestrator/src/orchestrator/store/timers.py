"""The column `wake_at` as the poller and the sweeper use it."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from orchestrator.store.clock import DatabaseClock
from orchestrator.store.faults import told_apart
from orchestrator.store.runs import SQL, Pool


class DueRun(NamedTuple):
    """A run whose wait is over, leased to whoever asked."""

    run_id: str
    workspace: str
    due_at: datetime
    traceparent: str
    leased_until: datetime


class Survey(NamedTuple):
    """How many runs are due now, how late the oldest is, and how many of them are leased."""

    due: int
    late_seconds: float
    leased: int


class RestingRun(NamedTuple):
    """A run that waits for a person; `key_id` names the key of its lead, if that is sealed."""

    run_id: str
    workspace: str
    key_id: str | None


class TimerStore:
    """Raises `DatabaseAway` when it may be tried again."""

    def __init__(self, pool: Pool, clock: DatabaseClock) -> None:
        self._pool = pool
        self._clock = clock

    async def read_next_due(self) -> tuple[datetime, datetime | None]:
        """The database's time, and when the next run that nobody has leased is due."""
        with told_apart():
            record = await self._pool.fetchrow(SQL["read_next_due"])
        if record is None:
            raise ValueError("the statement gives one row")
        self._clock.set(record["now"])
        return record["now"], record["due_at"]

    async def lease_due(self, limit: int) -> list[DueRun]:
        """Up to `limit` due runs, which no other poller gets for a while."""
        with told_apart():
            records = await self._pool.fetch(SQL["lease_due"], limit)
        return [
            DueRun(
                str(each["id"]),
                each["workspace"],
                each["wake_at"],
                each["traceparent"],
                each["leased_until"],
            )
            for each in records
        ]

    async def give_back(self, runs: Sequence[DueRun]) -> None:
        """End the leases of runs that nobody was told of; not those that another has by now."""
        with told_apart():
            await self._pool.execute(
                SQL["give_back"],
                [each.run_id for each in runs],
                [each.leased_until for each in runs],
            )

    async def wake_overdue(self, late: timedelta, limit: int) -> list[str]:
        """Take back the leases of runs that are later than `late`; their ids."""
        with told_apart():
            records = await self._pool.fetch(SQL["wake_overdue"], late, limit)
        return [str(each["id"]) for each in records]

    async def list_resting(self, after: str, limit: int) -> list[RestingRun]:
        """Runs that wait for a person, in the order of their ids."""
        with told_apart():
            records = await self._pool.fetch(SQL["list_resting"], after, limit)
        return [RestingRun(str(each["id"]), each["workspace"], each["key_id"]) for each in records]

    async def wake_resting(self, run_ids: Sequence[str]) -> None:
        """Have runs woken at once that wait for a person."""
        with told_apart():
            await self._pool.execute(SQL["wake_resting"], run_ids)

    async def survey(self) -> Survey:
        """How the wake-ups stand."""
        with told_apart():
            record = await self._pool.fetchrow(SQL["survey_runs"])
        if record is None:
            raise ValueError("the statement gives one row")
        return Survey(record["due"], record["late"], record["leased"])

    async def count_resting(self, statuses: Collection[str]) -> dict[str, int]:
        """How many runs rest in each of these statuses."""
        with told_apart():
            records = await self._pool.fetch(SQL["count_resting"], list(statuses))
        found = {each["status"]: each["count"] for each in records}
        return {status: found.get(status, 0) for status in statuses}
