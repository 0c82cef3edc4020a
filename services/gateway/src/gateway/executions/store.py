"""The orchestrator's view of executions."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from mirsal_runtime.queries import load_queries

from gateway.executions.schemas import ExecutionView
from gateway.leads.opening import Opener, Parts
from gateway.paging import Asked, BothWays, Cursor
from gateway.store import Database

_SQL = load_queries("gateway.executions")
_LIST = BothWays.of(_SQL["list"])


class LogFilter(NamedTuple):
    """Which executions are asked for; None takes all."""

    lead_id: str | None = None
    run_id: UUID | None = None
    status: str | None = None
    connector_type: str | None = None


class LogEntry(NamedTuple):
    """An execution with its place in the list."""

    place: Cursor
    view: ExecutionView


class ExecutionStore:
    """Executions as the orchestrator publishes them; every method keeps to one workspace."""

    def __init__(self, database: Database, opener: Opener) -> None:
        self._database = database
        self._opener = opener

    async def read(self, workspace: str, execution_id: str) -> ExecutionView | None:
        """One execution."""
        rows = await self._database.fetch_in(workspace, _SQL["read"], execution_id, workspace)
        return next(
            iter(await open_views(self._opener, workspace, [view_of(dict(row)) for row in rows])),
            None,
        )

    async def list_log(
        self,
        workspace: str,
        workflow_id: str,
        wanted: LogFilter,
        asked: Asked,
    ) -> list[LogEntry]:
        """A page of a workflow's executions, and one more."""
        rows = await self._database.fetch_in(
            workspace,
            _LIST.for_page(asked),
            workspace, workflow_id, *asked.place, *wanted, asked.since, asked.until,
            asked.limit + 1,
        )  # fmt: skip
        views = await open_views(self._opener, workspace, [view_of(dict(row)) for row in rows])
        return [
            LogEntry(Cursor(row["created_at"], str(row["id"])), view)
            for row, view in zip(rows, views, strict=True)
        ]


async def open_views(
    opener: Opener, workspace: str, views: Iterable[ExecutionView]
) -> list[ExecutionView]:
    """The executions with what they keep sealed opened."""
    found = list(views)
    parts = [Parts(view.execution_id, view.output, view.error) for view in found]
    opened = await opener.open_parts(workspace, parts)
    return [
        view
        if after is before
        else view.model_copy(update={"output": after.output, "error": after.error})
        for view, before, after in zip(found, parts, opened, strict=True)
    ]


def view_of(row: Mapping[str, Any]) -> ExecutionView:
    """The execution of a row of `published_executions`."""
    return ExecutionView(
        execution_id=row["execution_id"],
        run_id=str(row["run_id"]),
        workflow_id=row["workflow_id"],
        node_id=row["node_id"],
        lead_id=row["lead_id"],
        connector_type=row["connector_type"],
        status=row["status"],
        retry_count=row["retry_count"],
        max_retries=row["max_retries"],
        start_time=row["start_time"],
        end_time=row["end_time"],
        duration_ms=row["duration_ms"],
        output=row["output_data"],
        error=row["error_details"],
        trace_id=row["trace_id"] or None,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
