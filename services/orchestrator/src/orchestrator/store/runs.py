"""Runs in PostgreSQL: loading them, and writing what a batch of events came to."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

import asyncpg
import orjson
from mirsal_contracts.message import JsonObject
from mirsal_contracts.workflows import Graph
from mirsal_runtime.database_spans import tell_statement
from mirsal_runtime.queries import load_queries

from orchestrator.decide import ExecutionRow, RunRequest, RunState
from orchestrator.decide.erasing import STRIPPED
from orchestrator.decide.storable import write_json
from orchestrator.store.buckets import bucket_of
from orchestrator.store.clock import DatabaseClock
from orchestrator.store.faults import told_apart
from orchestrator.store.letters import SQL as LETTERS_SQL
from orchestrator.store.letters import LetterStore, Mark, mark_columns

SCHEMA = "orchestrator"
ROLE = "mirsal_orchestrator"
"""What sessions act as. It owns nothing, so the tables' policies hold for it."""
SQL = load_queries("orchestrator.store")

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


class GraphKey(NamedTuple):
    """Names one version of a workflow."""

    workspace: str
    workflow_id: str
    version: int


class StoredRun(NamedTuple):
    """A run as the table has it.

    `revision` counts its writes, and is 0 for a run that is not written yet. `request_bytes` is
    the size of its request as JSON.
    """

    request: RunRequest
    state: RunState
    revision: int
    traceparent: str
    request_bytes: int


class RunWrite(NamedTuple):
    """What a run shall become: `run` with the revision that was decided upon.

    `request_json` is given for a new run. `rows` are the executions that changed. `forgets`: the
    lead of a run that exists was erased, and what the table has of it goes.
    """

    run: StoredRun
    request_json: str | None
    state_json: str
    rows: Sequence[ExecutionRow]
    forgets: bool = False

    @property
    def is_new(self) -> bool:
        """Whether the run does not exist yet."""
        return self.request_json is not None


class RunStore:
    """Each call is one transaction, and one statement where nothing comes from the dead letters.

    Raises `DatabaseAway` when it may be tried again as it is, `DataRefused` when never.
    """

    def __init__(self, pool: Pool, clock: DatabaseClock, *, instance: str) -> None:
        self._pool = pool
        self._clock = clock
        self._instance = instance
        self.letters = LetterStore(pool)

    async def read_clock(self) -> datetime:
        """The database's time; asks for it only when the last answer is old."""
        if not self._clock.is_fresh:
            with told_apart():
                self._clock.set(await self._pool.fetchval(SQL["read_clock"]))
        return self._clock.now()

    async def load(self, run_ids: Collection[str]) -> dict[str, StoredRun]:
        """Those of the runs that exist."""
        with told_apart(), tell_statement("load_runs", len(run_ids)):
            records = await self._pool.fetch(SQL["load_runs"], sorted(run_ids))
        return {run.request.run_id: run for run in map(_stored_run, records)}

    async def load_graph(self, key: GraphKey) -> Graph | None:
        """A version's graph, if a run of it was ever requested."""
        with told_apart(), tell_statement("load_graph", 1):
            text = await self._pool.fetchval(SQL["load_graph"], *key)
        return None if text is None else Graph.model_validate_json(text)

    async def write(
        self,
        writes: Sequence[RunWrite],
        graphs: Sequence[tuple[GraphKey, Graph]],
        at: datetime,
        marks: Sequence[Mark] = (),
    ) -> set[str]:
        """Write all that did not move meanwhile; the ids of those written.

        With a run go the `marks` that are about it, in the same transaction.
        """
        writes = sorted(writes, key=_run_id)
        values = (
            at,
            self._instance,
            *_graph_columns(sorted(graphs, key=_graph_key)),
            *_begun_columns([write for write in writes if write.run.revision == 0], at),
            *_moved_columns([write for write in writes if write.run.revision != 0], at),
            *_execution_columns(writes),
        )
        forgotten = [write.run.request for write in writes if write.forgets]
        with told_apart(), tell_statement("write_batch", len(writes)):
            if not marks and not forgotten:
                records = await self._pool.fetch(SQL["write_batch"], *values)
                return {str(record[0]) for record in records}
            async with self._pool.acquire() as connection, connection.transaction():
                records = await connection.fetch(SQL["write_batch"], *values)
                written = {str(record[0]) for record in records}
                told = [mark for mark in marks if mark.run_id in written]
                await connection.execute(LETTERS_SQL["mark_letters"], *mark_columns(told))
                await _forget(connection, [each for each in forgotten if each.run_id in written])
                return written


async def _forget(connection: Connection, requests: Sequence[RunRequest]) -> None:
    """Have nothing left of the leads of these runs."""
    if requests:
        columns = _columns(2, [(each.run_id, each.to_json().decode()) for each in requests])
        await connection.execute(SQL["forget_requests"], *columns)
        run_ids = columns[0]
        await connection.execute(SQL["strip_executions"], run_ids, STRIPPED)
        await connection.execute(LETTERS_SQL["forget_letters_of_leads"], run_ids)


def _stored_run(record: asyncpg.Record) -> StoredRun:
    request = RunRequest(
        record["workspace"],
        str(record["id"]),
        record["workflow_id"],
        record["version"],
        record["lead_id"],
        record["created_at"],
        {},
        {},
    ).with_json(record["request"])
    return StoredRun(
        request,
        RunState.from_json(record["state"]),
        record["revision"],
        record["traceparent"],
        len(record["request"]),
    )


def _run_id(write: RunWrite) -> str:
    return write.run.request.run_id


def _graph_key(entry: tuple[GraphKey, Graph]) -> GraphKey:
    return entry[0]


def _graph_columns(graphs: Sequence[tuple[GraphKey, Graph]]) -> list[list[Any]]:
    return _columns(4, [(*key, graph.to_json().decode()) for key, graph in graphs])


def _begun_columns(writes: Sequence[RunWrite], at: datetime) -> list[list[Any]]:
    return _columns(
        13,
        [
            (
                request.run_id,
                request.workspace,
                request.workflow_id,
                request.version,
                request.lead_id,
                write.request_json,
                write.run.traceparent,
                request.requested_at,
                *_state_values(write, at),
            )
            for write in writes
            for request in (write.run.request,)
        ],
    )


def _moved_columns(writes: Sequence[RunWrite], at: datetime) -> list[list[Any]]:
    return _columns(
        7,
        [
            (write.run.request.run_id, write.run.revision, *_state_values(write, at))
            for write in writes
        ],
    )


def _state_values(write: RunWrite, at: datetime) -> tuple[Any, ...]:
    state = write.run.state
    return (
        state.status,
        write.state_json,
        _jsonb(state.reason),
        state.wake_at,
        at if state.is_final else None,
    )


def _execution_columns(writes: Sequence[RunWrite]) -> list[list[Any]]:
    return _columns(
        15,
        [
            (
                write.run.request.run_id,
                row.execution_id,
                row.node_id,
                row.connector_type,
                row.status,
                row.attempt,
                row.retry_count,
                row.max_retries,
                row.start_time,
                row.end_time,
                row.duration_ms,
                _jsonb(row.error),
                _jsonb(row.output),
                row.created_at,
                bucket_of(row),
            )
            for write in writes
            for row in write.rows
        ],
    )


def _columns(count: int, rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(count)]


def _jsonb(value: JsonObject | None) -> orjson.Fragment | None:
    return None if value is None else orjson.Fragment(write_json(value))
