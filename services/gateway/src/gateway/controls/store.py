"""What controls read of the orchestrator's views."""

from typing import NamedTuple

from mirsal_runtime.queries import load_queries

from gateway.store import Database

_SQL = load_queries("gateway.controls")


class Resting(NamedTuple):
    """An execution as a decision on it must know it; `is_failing`: its run has failed elsewhere."""

    run_id: str
    workflow_id: str
    execution_id: str
    node_id: str
    attempt: int
    status: str
    is_failing: bool


class ControlStore:
    """Reads executions of one workspace. Raises `DatabaseUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, workspace: str, execution_id: str) -> Resting | None:
        """The execution, if it has a row."""
        row = await self._database.fetch_row_in(
            workspace, _SQL["find_execution"], execution_id, workspace
        )
        if row is None:
            return None
        return Resting(
            str(row["run_id"]),
            row["workflow_id"],
            row["execution_id"],
            row["node_id"],
            row["attempt"],
            row["status"],
            row["is_failing"],
        )
