"""The orchestrator's view of totals."""

from typing import NamedTuple

from mirsal_runtime.queries import load_queries

from gateway.store import Database

_SQL = load_queries("gateway.health")


class Total(NamedTuple):
    """Executions of one workflow and type that reached `status` in a time of one bucket.

    `bucket` is the bucket's upper bound in seconds; 0 for executions that took no time of a
    connector's.
    """

    workflow_id: str
    connector_type: str
    status: str
    bucket: float
    executions: int
    duration_seconds: float


class TotalStore:
    """Executions, counted by the orchestrators."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> list[Total]:
        """All totals."""
        return [Total(**row) for row in await self._database.fetch_everywhere(_SQL["read_totals"])]
