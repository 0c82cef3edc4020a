"""The calls in which Google does more, or refuses more, than the emulator: tables and insertAll."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import Field

from mirsal_testing.simulators.bigquery.backend import Answer
from mirsal_testing.simulators.bigquery.errors import GoogleError, invalid, no_such_table
from mirsal_testing.simulators.bigquery.record import StoredRow
from mirsal_testing.simulators.bigquery.schemas import check_new_table, check_widening, read_columns
from mirsal_testing.simulators.bigquery.streaming import (
    RowError,
    StreamingBuffer,
    judge,
    read_rows,
)
from mirsal_testing.simulators.rulebook import WireModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mirsal_testing.simulators.bigquery.backend import Backend
    from mirsal_testing.simulators.bigquery.operations import Operation
    from mirsal_testing.simulators.bigquery.record import Call, Record
    from mirsal_testing.simulators.bigquery.rules import RefusedRows
    from mirsal_testing.simulators.bigquery.streaming import Row


class Behaviour(WireModel):
    """What may be set while it runs. All in seconds.

    `dedupe_seconds`: how long an insertId is remembered (0: never). `table_lag_seconds`: how long
    a new table is unknown to insertAll; `column_lag_seconds`: the same for a new column.
    """

    dedupe_seconds: float = Field(default=60.0, ge=0)
    table_lag_seconds: float = Field(default=0.0, ge=0)
    column_lag_seconds: float = Field(default=0.0, ge=0)


class TableCalls:
    """Google's checks and its streaming buffer, before the emulator."""

    def __init__(self, backend: Backend, record: Record, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self._backend = backend
        self._record = record
        self._buffer = StreamingBuffer()
        # Google orders the writes of one table; so nothing between check and effect is raced.
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def forget(self) -> None:
        self._buffer.clear_ids()

    async def insert_table(self, operation: Operation, path: str, body: bytes) -> Answer:
        sent = _read(body)
        table_id = str((sent.get("tableReference") or {}).get("tableId") or "")
        check_new_table(table_id, sent)
        await self._backend.demand_dataset(operation)
        made = replace(operation, table_id=table_id)
        async with self._locks[made.table]:
            answer = await self._backend.send("POST", path, body)
            if answer.is_good:
                self._buffer.note_table(made.table, time.monotonic())
        return answer

    async def change_table(
        self, operation: Operation, method: str, path: str, body: bytes, if_match: str
    ) -> Answer:
        """PATCH or PUT, guarded by If-Match as the official client sends it."""
        sent = _read(body)
        async with self._locks[operation.table]:
            table = await self._backend.find_table(operation)
            if table is None:
                raise no_such_table(operation.table)
            if if_match and if_match != table.etag:
                raise GoogleError("conditionNotMet", "Precondition check failed.")
            if sent.get("schema") is not None:
                wanted = read_columns(sent)
                added = check_widening(operation.table, table.columns, wanted)
                await self._backend.add_columns(operation, added)
                now = time.monotonic()
                for column in added:
                    self._buffer.note_column(operation.table, column.name, now)
            return await self._backend.send(method, path, body)

    async def delete_table(self, operation: Operation, path: str) -> Answer:
        async with self._locks[operation.table]:
            answer = await self._backend.send("DELETE", path)
            if answer.is_good:
                self._buffer.forget_table(operation.table)
        return answer

    async def insert_rows(self, call: Call, body: bytes, refusals: Sequence[RefusedRows]) -> Answer:
        operation, name = call.operation, call.operation.table
        sent = _read(body)
        rows = read_rows(sent)
        call.rows = len(rows)
        async with self._locks[name]:
            table = await self._backend.find_table(operation)
            now, lags = time.monotonic(), self.behaviour
            if table is None or not self._buffer.knows_table(name, now, lags.table_lag_seconds):
                raise no_such_table(name)
            judgement = judge(
                rows,
                self._buffer.known_columns(name, table.columns, now, lags.column_lag_seconds),
                _refused_rows(rows, refusals),
                skip_invalid=bool(sent.get("skipInvalidRows")),
                ignore_unknown=bool(sent.get("ignoreUnknownValues")),
            )
            await self._store(call, judgement.stored, now)
        call.row_errors = [
            {"index": index, **error.json()} for index, error in sorted(judgement.errors.items())
        ]
        return Answer(200, orjson.dumps(judgement.answer()))

    async def _store(self, call: Call, rows: Sequence[Row], now: float) -> None:
        operation, name, window = (
            call.operation,
            call.operation.table,
            self.behaviour.dedupe_seconds,
        )
        fresh = self._buffer.drop_repeated(name, rows, now, window)
        if fresh:
            await self._backend.store(operation, fresh)
        self._buffer.remember(name, fresh, now, window)
        call.stored, call.repeated = len(fresh), len(rows) - len(fresh)
        for row in fresh:
            self._record.store(StoredRow(time.time(), name, row.insert_id, row.json))


def _read(body: bytes) -> Mapping[str, Any]:
    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise GoogleError("parseError", "Parse Error", status=400) from None
    if not isinstance(sent, dict):
        raise invalid("Invalid JSON payload received.")
    return sent


def _refused_rows(rows: Sequence[Row], refusals: Sequence[RefusedRows]) -> dict[int, RowError]:
    refused: dict[int, RowError] = {}
    for refusal in refusals:
        wanted = refusal.contains.encode()
        for row in rows:
            if row.index not in refused and wanted in orjson.dumps(row.json):
                refused[row.index] = RowError(refusal.reason, "", refusal.message)
    return refused
