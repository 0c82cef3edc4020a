"""The tables `workflow_definitions` and `workflow_versions`."""

from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg
import orjson
from mirsal_contracts.workflows import Graph
from mirsal_runtime.queries import load_queries

from gateway.audit.entries import Action, Entry, Origin
from gateway.audit.store import change
from gateway.paging import Asked, BothWays
from gateway.repeats import Once
from gateway.store import Database
from gateway.workflows.schemas import (
    VersionSummary,
    WorkflowDraft,
    WorkflowSummary,
    WorkflowVersion,
    WorkflowView,
)

if TYPE_CHECKING:
    from mirsal_contracts.message import JsonObject

_SQL = load_queries("gateway.workflows")
_LIST, _LIST_VERSIONS = BothWays.of(_SQL["list"]), BothWays.of(_SQL["list_versions"])


class VersionKey(NamedTuple):
    """Which version of which workflow."""

    workspace: str
    workflow_id: str
    version: int


class WorkflowStore:
    """Reads and writes definitions; every method keeps to one workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(
        self,
        origin: Origin,
        workflow_id: str,
        draft: WorkflowDraft,
        expected: Sequence[int] | None = None,
        once: Once | None = None,
    ) -> WorkflowView | None:
        """The new version; None if the newest one says the same already, or is not `expected`."""
        document = draft.model_dump(mode="json", by_alias=True, exclude_none=True)

        def describe(rows: Sequence[asyncpg.Record]) -> Entry | None:
            return _entry(origin, workflow_id, rows[0], document) if rows else None

        rows = await change(
            self._database,
            origin.workspace,
            describe,
            _SQL["save"],
            origin.workspace,
            workflow_id,
            draft.name,
            draft.description,
            document["nodes"],
            document["connections"],
            document["triggers"],
            origin.name,
            orjson.dumps(document["nodes"]).decode(),
            None if expected is None else list(expected),
            once=once,
        )
        return WorkflowView(**_members(rows[0])) if rows else None

    async def read(self, workspace: str, workflow_id: str) -> WorkflowView | None:
        """The workflow with its newest version."""
        row = await self._database.fetch_row_in(workspace, _SQL["read"], workspace, workflow_id)
        return None if row is None else WorkflowView(**_members(row))

    async def set_active(self, origin: Origin, workflow_id: str, *, is_active: bool) -> None:
        """Have a workflow take starts, or none; it may not exist, or be so already."""
        action = Action.WORKFLOW_ACTIVATED if is_active else Action.WORKFLOW_DEACTIVATED
        await change(
            self._database,
            origin.workspace,
            lambda rows: Entry(origin, action, workflow_id) if rows else None,
            _SQL["set_active"],
            origin.workspace,
            workflow_id,
            is_active,
        )

    async def exists(self, workspace: str, workflow_id: str) -> bool:
        """Whether there is such a workflow."""
        return (
            await self._database.fetch_row_in(workspace, _SQL["exists"], workspace, workflow_id)
            is not None
        )

    async def list_workflows(
        self, workspace: str, granted: Collection[str] | None, asked: Asked
    ) -> list[WorkflowSummary]:
        """A page of workflows, and one more; of those that are granted, unless that is None."""
        among = None if granted is None else list(granted)
        rows = await self._database.fetch_in(
            workspace,
            _LIST.for_page(asked),
            workspace, *asked.after, among, asked.since, asked.until, asked.limit + 1,
        )  # fmt: skip
        return [WorkflowSummary(**row) for row in rows]

    async def read_version(self, key: VersionKey) -> WorkflowVersion | None:
        """One version."""
        row = await self._database.fetch_row_in(key.workspace, _SQL["read_version"], *key)
        return None if row is None else WorkflowVersion(**_members(row))

    async def list_versions(
        self, workspace: str, workflow_id: str, asked: Asked
    ) -> list[VersionSummary]:
        """A page of versions, and one more."""
        rows = await self._database.fetch_in(
            workspace,
            _LIST_VERSIONS.for_page(asked),
            workspace, workflow_id, asked.number, asked.since, asked.until, asked.limit + 1,
        )  # fmt: skip
        return [VersionSummary(**row) for row in rows]

    async def read_graphs(self, keys: Sequence[VersionKey]) -> list[Graph]:
        """The graphs of versions that exist, in the order of `keys`."""
        asked = list(set(keys))
        rows = await self._database.fetch_everywhere(
            _SQL["read_graphs"],
            [key.workspace for key in asked],
            [key.workflow_id for key in asked],
            [key.version for key in asked],
        )
        found = {
            VersionKey(row["workspace"], row["workflow_id"], row["version"]): Graph.model_validate(
                {"nodes": orjson.loads(row["nodes"]), "connections": row["connections"]}
            )
            for row in rows
        }
        return [found[key] for key in keys]


def _entry(
    origin: Origin, workflow_id: str, row: asyncpg.Record, document: dict[str, Any]
) -> Entry:
    """The version and what it is known by: the definition itself stands in its table for ever."""
    version = row["version"]
    after: JsonObject = {
        "version": version,
        "name": row["name"],
        "nodes": len(document["nodes"]),
        "sha256": sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest(),
    }
    before: JsonObject | None = {"version": version - 1} if version > 1 else None
    return Entry(origin, Action.WORKFLOW_SAVED, workflow_id, before, after)


def _members(row: asyncpg.Record) -> dict[str, Any]:
    """A row as the members of a model; its nodes are text, which keeps their members' order."""
    return {**row, "nodes": orjson.loads(row["nodes"])}
