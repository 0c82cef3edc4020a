"""The control API of the BigQuery simulator: calls, stored rows, rules and behaviour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from aiohttp import web
from pydantic import ValidationError

from mirsal_testing.simulators.bigquery.record import CALLS, ROWS, Call, Record, StoredRow
from mirsal_testing.simulators.control import (
    Control,
    answer_health,
    answer_problem,
    read_int,
    rule_routes,
)
from mirsal_testing.simulators.listener import answer_json
from mirsal_testing.simulators.process import cpu_seconds

if TYPE_CHECKING:
    from mirsal_testing.simulators.bigquery.rules import BigQueryRule
    from mirsal_testing.simulators.bigquery.tables import TableCalls
    from mirsal_testing.simulators.rulebook import RuleBook

DEFAULT_LIMIT = 1000
MOST = 20_000


class BigQueryRoutes:
    """The handlers, one for each method and path."""

    def __init__(self, record: Record, rules: RuleBook[BigQueryRule], tables: TableCalls) -> None:
        self._record = record
        self._rules = rules
        self._tables = tables

    def control(self) -> Control:
        return Control(
            {
                ("GET", "/health"): answer_health,
                ("GET", "/simulator/messages"): self.list_rows,
                ("DELETE", "/simulator/messages"): self.clear,
                ("GET", "/simulator/calls"): self.list_calls,
                ("GET", "/simulator/summary"): self.show_summary,
                ("GET", "/simulator/counts"): self.show_counts,
                ("GET", "/simulator/behaviour"): self.show_behaviour,
                ("PATCH", "/simulator/behaviour"): self.change_behaviour,
                **rule_routes(self._rules),
            }
        )

    async def list_rows(self, request: web.BaseRequest) -> web.Response:
        """Stored rows, `?table=project:dataset.table` for those of one."""
        since, limit = _page(request, self._record.rows.total)
        names, table = ROWS.names(request), request.query.get("table")

        def is_wanted(row: StoredRow) -> bool:
            return table is None or row.table == table

        found = self._record.rows.after(since, limit, is_wanted)
        return _answer([ROWS.show(row, names) for row in found], since, self._record.rows.total)

    async def list_calls(self, request: web.BaseRequest) -> web.Response:
        since, limit = _page(request, self._record.calls.total)
        names, operation = CALLS.names(request), request.query.get("operation")

        def is_wanted(call: Call) -> bool:
            return operation is None or call.operation.name == operation

        found = self._record.calls.after(since, limit, is_wanted)
        return _answer([CALLS.show(call, names) for call in found], since, self._record.calls.total)

    async def show_summary(self, _request: web.BaseRequest) -> web.Response:
        return answer_json({**self._record.summary(), "cpuSeconds": cpu_seconds()})

    async def show_counts(self, _request: web.BaseRequest) -> web.Response:
        return answer_json(dict(self._record.by_insert_id.counts))

    async def clear(self, _request: web.BaseRequest) -> web.Response:
        """What was recorded, and the remembered insertIds; tables and their rows stay."""
        self._record.clear()
        self._tables.forget()
        return web.Response(status=204)

    async def show_behaviour(self, _request: web.BaseRequest) -> web.Response:
        return answer_json(self._tables.behaviour.model_dump(by_alias=True))

    async def change_behaviour(self, request: web.BaseRequest) -> web.Response:
        """The members that are not given stay as they are."""
        before = self._tables.behaviour
        try:
            changes = orjson.loads(await request.read())
            merged = {**before.model_dump(by_alias=True), **changes}
            self._tables.behaviour = type(before).model_validate(merged)
        except (orjson.JSONDecodeError, TypeError, ValidationError) as error:
            return answer_problem(422, "Not a behaviour", str(error))
        return await self.show_behaviour(request)


def _page(request: web.BaseRequest, total: int) -> tuple[int, int]:
    since = read_int(request, "since", 0, total)
    return since, read_int(request, "limit", DEFAULT_LIMIT, MOST)


def _answer(items: list[dict[str, object]], since: int, total: int) -> web.Response:
    last = items[-1].get("sequence", total) if items else since
    return answer_json({"items": items, "next": last, "total": total})
