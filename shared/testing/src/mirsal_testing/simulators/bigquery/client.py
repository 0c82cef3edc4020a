"""Client of the BigQuery simulator's control API, for tests that run it as another process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mirsal_testing.simulators.control_client import MessageClient

if TYPE_CHECKING:
    from collections.abc import Mapping


class BigQuerySimulatorClient(MessageClient):
    """`async with BigQuerySimulatorClient(url) as bigquery: await bigquery.rows()`.

    In `summary` and `wait_for_messages` the messages are the rows that streaming has stored.
    """

    async def rows(self, *, since: int = 0, table: str | None = None) -> list[dict[str, Any]]:
        """All stored rows after number `since`; `table` as `project:dataset.table`."""
        query: dict[str, str | int] = {"since": since}
        if table is not None:
            query["table"] = table
        return [item async for item in self._pages("/simulator/messages", query, None)]

    async def calls(self, *, since: int = 0, operation: str | None = None) -> list[dict[str, Any]]:
        """Every call with its outcome, as the control API gives it."""
        query: dict[str, str | int] = {"since": since}
        if operation is not None:
            query["operation"] = operation
        return [item async for item in self._pages("/simulator/calls", query, None)]

    async def counts(self) -> dict[str, int]:
        """How many stored rows each insertId has."""
        return await self._get("/simulator/counts", {})

    async def behave(self, **changes: float) -> dict[str, float]:
        """Sets `dedupeSeconds`, `tableLagSeconds`, `columnLagSeconds`; gives what then holds."""
        answer = await self._http.patch("/simulator/behaviour", json=changes)
        answer.raise_for_status()
        return dict(answer.json())

    async def fail_next(
        self, reason: str, *, times: int | None = 1, match: Mapping[str, object] | None = None
    ) -> str:
        """The next matching calls get Google's error for that reason. Returns the rule's id."""
        rule = {"times": times, "match": match or {}, "action": {"error": {"reason": reason}}}
        (added,) = await self.add_rules(rule)
        return str(added["id"])
