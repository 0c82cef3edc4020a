"""The store on a real PostgreSQL: what is guarded, counted and published."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import orjson
import pytest
from mirsal_contracts.leads import Lead
from mirsal_contracts.message import JsonObject
from mirsal_contracts.workflows import Node
from orchestrator.decide import ExecutionRow
from orchestrator.rehearsal import LEAD, Rehearsal, draw
from orchestrator.store.clock import DatabaseClock
from orchestrator.store.faults import DatabaseAway, DataRefused
from orchestrator.store.runs import GraphKey, Pool, RunStore, RunWrite, StoredRun

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BY: JsonObject = {"kind": "key", "id": "6f1f6f0e-5a4c-4d0c-9a43-0d5f3f6f1c11", "name": "CRM مرسال"}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def store(pool: Pool) -> RunStore:
    return RunStore(pool, DatabaseClock(), instance="orchestrator-1")


def rehearse(lead: Lead = LEAD) -> Rehearsal:
    """A run of its own id."""
    run = Rehearsal(draw(["a", "b"], "a>b"), lead=lead, given={"big": 2**70, "real": 1e2})
    run.asked = run.asked._replace(run_id=str(uuid4()), requested_by=BY)
    return run


def writing(run: Rehearsal, revision: int, rows: Sequence[ExecutionRow]) -> RunWrite:
    """What the store is asked to write."""
    request_json = run.asked.to_json().decode()
    return RunWrite(
        StoredRun(run.asked, run.now, revision, TRACE, len(request_json)),
        request_json if revision == 0 else None,
        run.now.to_json().decode(),
        rows,
    )


async def begin(store: RunStore, run: Rehearsal) -> None:
    """Store a run that was just requested."""
    written = await store.write([writing(run, 0, run.request().rows)], [], NOW)
    assert written == {run.asked.run_id}


async def test_a_run_comes_back_as_it_was_written(store: RunStore) -> None:
    run = rehearse(LEAD.model_copy(update={"name": "a\x00b", "fields": {"b": 1, "a": [2.50]}}))
    await begin(store, run)
    loaded = await store.load([run.asked.run_id, str(uuid4())])
    assert set(loaded) == {run.asked.run_id}
    stored = loaded[run.asked.run_id]
    assert stored.request == run.asked
    fields = stored.request.lead["fields"]
    assert isinstance(fields, dict)
    assert list(fields) == ["b", "a"]
    assert stored.state == run.now
    assert (stored.revision, stored.traceparent) == (1, TRACE)


async def test_a_direct_run_keeps_its_graph_and_execution_id(store: RunStore) -> None:
    execution_id = str(uuid4())
    run = Rehearsal(draw(["only"]), version=0, execution_id=execution_id)
    await begin(store, run)
    stored = (await store.load([run.asked.run_id]))[run.asked.run_id]
    assert stored.request.graph == draw(["only"])
    assert stored.request.execution_id == execution_id


async def test_a_run_that_moved_meanwhile_is_left_out_with_all_that_follows(
    store: RunStore, pool: Pool
) -> None:
    moved, fresh = rehearse(), rehearse()
    await begin(store, moved)
    first = moved.succeed("a")
    assert await store.write([writing(moved, 1, first.rows)], [], NOW) == {moved.asked.run_id}
    before = await pool.fetch("SELECT * FROM execution_logs ORDER BY id")
    stale = writing(moved, 1, moved.succeed("b").rows)
    assert await store.write([stale, writing(fresh, 0, fresh.request().rows)], [], NOW) == {
        fresh.asked.run_id
    }
    after = await pool.fetch(
        "SELECT * FROM execution_logs WHERE run_id = $1 ORDER BY id", moved.asked.run_id
    )
    assert after == before
    assert (await store.load([moved.asked.run_id]))[moved.asked.run_id].revision == 2
    counted = await pool.fetchval("SELECT sum(executions) FROM execution_totals")
    assert counted == 1


async def test_a_run_that_exists_is_not_begun_again(store: RunStore, pool: Pool) -> None:
    run = rehearse()
    await begin(store, run)
    again = writing(run, 0, tuple(run.rows.values()))
    assert await store.write([again], [], NOW) == set()
    assert await pool.fetchval("SELECT count(*) FROM execution_logs") == 1


async def test_an_execution_has_one_row_which_keeps_its_creation(
    store: RunStore, pool: Pool
) -> None:
    run = rehearse()
    await begin(store, run)
    created = await pool.fetchval("SELECT created_at FROM execution_logs")
    later = NOW + timedelta(minutes=5)
    decision = run.succeed("a", {"messageId": "مرحبا", "big": 2**70})
    await store.write([writing(run, 1, decision.rows)], [], later)
    rows = await pool.fetch("SELECT * FROM execution_logs ORDER BY created_at")
    assert [row["node_id"] for row in rows] == ["a", "b"]
    done = rows[0]
    assert done["created_at"] == created
    assert done["updated_at"] == later
    assert (done["status"], done["attempt"], done["duration_ms"]) == ("succeeded", 1, 240)
    assert done["output_data"]["messageId"] == "مرحبا"
    assert str(done["id"]) == done["execution_id"] == run.asked.execution_id_of("a")
    assert (done["lead_id"], done["workflow_id"], done["workspace"]) == ("lead-1", "flow", "w")
    assert done["trace_id"] == TRACE[3:35]


async def test_totals_count_each_execution_once_in_its_bucket(
    store: RunStore, pool: Pool, database_url: str
) -> None:
    skipped = rehearse()
    condition = Node(id="if", type="condition", config={"if": "false"})
    skipped.plan = Rehearsal(draw([condition, "b"], "if>b:true")).plan
    runs = [rehearse() for _ in range(3)]
    for run in (*runs, skipped):
        await begin(store, run)
    other = RunStore(pool, DatabaseClock(), instance="orchestrator-2")
    for run, each in zip(runs, (store, store, other), strict=True):
        decision = run.succeed("a")
        assert await each.write([writing(run, 1, decision.rows)], [], NOW)
        assert not await each.write([writing(run, 1, decision.rows)], [], NOW)
    gateway = await asyncpg.connect(database_url, server_settings={"role": "gateway"})
    try:
        rows = await gateway.fetch("SELECT * FROM orchestrator.published_totals")
    finally:
        await gateway.close()
    totals = {
        (row["connector_type"], row["status"], row["bucket"]): (
            row["executions"],
            round(row["duration_seconds"], 3),
        )
        for row in rows
    }
    assert totals == {
        ("noop", "succeeded", 0.25): (3, 0.72),
        ("condition", "succeeded", 0.005): (1, 0.0),
        ("noop", "skipped", 0.0): (1, 0.0),
    }


@pytest.mark.parametrize("reader", ["mirsal_gateway", "gateway"])
async def test_the_gateway_may_read_the_views_and_nothing_else(
    store: RunStore, database_url: str, reader: str
) -> None:
    """`gateway` is what the release before acts as, and sees all workspaces."""
    run = rehearse()
    await begin(store, run)
    gateway = await asyncpg.connect(database_url, server_settings={"role": reader})
    try:
        unasked = await gateway.fetch("SELECT FROM orchestrator.published_runs")
        assert len(unasked) == (reader == "gateway")
        await gateway.fetch("SELECT set_config('mirsal.workspace', $1, false)", run.asked.workspace)
        seen = await gateway.fetchrow("SELECT * FROM orchestrator.published_runs")
        assert seen is not None
        assert str(seen["run_id"]) == run.asked.run_id
        assert (seen["status"], seen["trace_id"]) == ("running", TRACE[3:35])
        assert orjson.loads(seen["requested_by"]) == BY
        assert len(await gateway.fetch("SELECT * FROM orchestrator.published_executions")) == 1
        for forbidden in (
            "SELECT request FROM orchestrator.runs",
            "SELECT state FROM orchestrator.runs",
            "SELECT instance FROM orchestrator.execution_totals",
            "SELECT FROM orchestrator.workflow_graphs",
            "DELETE FROM orchestrator.published_runs",
            "UPDATE orchestrator.published_executions SET status = 'failed'",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await gateway.execute(forbidden)
    finally:
        await gateway.close()


async def test_a_run_that_nobody_would_wake_is_refused(store: RunStore) -> None:
    run = rehearse()
    run.request()
    node = run.now.nodes["a"]._replace(due=None)
    run.state = run.now._replace(nodes={"a": node})
    with pytest.raises(DataRefused, match="unfinished_run_is_woken_or_rests") as refused:
        await store.write([writing(run, 0, ())], [], NOW)
    assert run.asked.lead_id not in str(refused.value), "the reason must not hold personal data"


UNINDEXABLE = "".join(str(uuid4()) for _ in range(100))


@pytest.mark.parametrize("lead_id", ["x\x00y", "\ud800", UNINDEXABLE], ids=["null", "half", "long"])
async def test_data_that_can_never_be_stored_is_told_apart(store: RunStore, lead_id: str) -> None:
    run = rehearse()
    run.request()
    run.asked = run.asked._replace(lead_id=lead_id)
    with pytest.raises(DataRefused) as refused:
        await store.write([writing(run, 0, tuple(run.rows.values()))], [], NOW)
    assert lead_id[:20] not in str(refused.value), "the reason must not hold personal data"


async def test_a_server_that_is_away_is_told_apart(store: RunStore, pool: Pool) -> None:
    await pool.close()
    with pytest.raises(DatabaseAway):
        await store.load([str(uuid4())])


async def test_a_graph_is_kept_as_the_first_run_brought_it(store: RunStore) -> None:
    key = GraphKey("w", "flow", 1)
    assert await store.load_graph(key) is None
    run = rehearse()
    graph = draw(["a", "b"], "a>b")
    await store.write([writing(run, 0, run.request().rows)], [(key, graph)], NOW)
    other = rehearse()
    await store.write([writing(other, 0, other.request().rows)], [(key, draw(["z"]))], NOW)
    assert await store.load_graph(key) == graph


async def test_the_clock_is_the_databases(store: RunStore, pool: Pool) -> None:
    first = await store.read_clock()
    await asyncio.sleep(0.02)
    second = await store.read_clock()
    asked = await pool.fetchval("SELECT clock_timestamp()")
    assert timedelta(seconds=0.02) <= second - first
    assert second <= asked <= second + timedelta(seconds=2)


async def test_execution_logs_has_the_columns_that_were_promised(pool: Pool) -> None:
    columns = {
        row["column_name"]: (row["data_type"], row["column_default"])
        for row in await pool.fetch(
            "SELECT * FROM information_schema.columns WHERE table_name = 'execution_logs'"
        )
    }
    promised = {
        "id": "uuid", "execution_id": "text", "workflow_id": "text", "lead_id": "text",
        "node_id": "text", "connector_type": "text", "status": "text", "retry_count": "integer",
        "max_retries": "integer", "start_time": "timestamp with time zone",
        "end_time": "timestamp with time zone", "duration_ms": "bigint", "error_details": "jsonb",
        "output_data": "jsonb", "created_at": "timestamp with time zone",
        "updated_at": "timestamp with time zone",
    }  # fmt: skip
    assert {name: columns[name][0] for name in promised} == promised
    defaults = {name: columns[name][1] for name in ("status", "retry_count", "max_retries")}
    assert defaults == {"status": "'queued'::text", "retry_count": "0", "max_retries": "3"}
    indexes = " ".join(
        await pool.fetchval(
            "SELECT array_agg(indexdef) FROM pg_indexes WHERE tablename = 'execution_logs'"
        )
    )
    for columns_indexed in ("(id)", "(execution_id)", "(workflow_id, lead_id)", "(status)",
                            "(created_at)"):  # fmt: skip
        assert columns_indexed in indexes
