"""What watchers read of the orchestrator's views: many watchers' questions in one statement."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

import asyncpg
from mirsal_runtime.queries import load_queries

from gateway.runs.schemas import RunChange
from gateway.store import Database

_SQL = load_queries("gateway.watching")

Kind: TypeAlias = Literal["run", "execution"]


class Subject(NamedTuple):
    """What is watched. Whoever asks has made sure that it is of the caller's workspace."""

    kind: Kind
    id: str


class Sight(NamedTuple):
    """What a look shows; an execution's revision is always 0."""

    status: str
    revision: int


class Change(NamedTuple):
    """A run that changed, and whose it is."""

    workspace: str
    run: RunChange


class WatchStore:
    """Looks. Raises `DatabaseUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look(self, subjects: Collection[Subject]) -> dict[Subject, Sight]:
        """Those of the subjects that are there."""
        runs = [UUID(each.id) for each in subjects if each.kind == "run"]
        executions = [each.id for each in subjects if each.kind == "execution"]
        rows = await self._database.fetch_everywhere(_SQL["look"], runs, executions)
        return {
            Subject(row["kind"], row["id"]): Sight(row["status"], row["revision"]) for row in rows
        }

    async def find_changes(
        self, workspaces: Collection[str], within: timedelta, limit: int
    ) -> list[Change]:
        """The workspaces' runs that changed within this time until now, the latest first."""
        rows = await self._database.fetch_everywhere(
            _SQL["find_changes"], list(workspaces), within, limit
        )
        return [_change(row) for row in rows]

    async def find_changes_since(self, workspace: str, since: datetime, limit: int) -> list[Change]:
        """The workspace's runs that changed after a moment, the latest first."""
        rows = await self._database.fetch_in(
            workspace, _SQL["find_changes_since"], workspace, since, limit
        )
        return [_change(row) for row in rows]


def _change(row: asyncpg.Record) -> Change:
    members = {**row, "run_id": str(row["run_id"])}
    return Change(members.pop("workspace"), RunChange(**members))
