"""Batches settled on a real PostgreSQL: what is written, sent, sent again and put aside."""

import os
from uuid import uuid4

import pytest
from mirsal_contracts.commands import RunNode
from mirsal_contracts.message import Envelope
from mirsal_contracts.requests import RunRequested
from mirsal_contracts.workflows import Node, RetryPolicy
from orchestrator.batch_rehearsal import (
    REQUESTS,
    STATUSES,
    TIMERS,
    Desk,
    GivenUp,
    Record,
    failure,
    record,
    request,
    success,
    timer,
)
from orchestrator.decide import Rules
from orchestrator.intake.settling import SEND_BYTES
from orchestrator.rehearsal import draw
from orchestrator.store.runs import Pool

from services.orchestrator.tests.conftest import empty


@pytest.fixture
def desk(pool: Pool) -> Desk:
    return Desk(pool)


async def statuses(pool: Pool) -> dict[str, str]:
    """Each run's status."""
    return {str(row["id"]): row["status"] for row in await pool.fetch("SELECT * FROM runs")}


async def finish(desk: Desk, waiting: list[RunNode]) -> None:
    """Every command, and every one that follows, succeeds."""
    while waiting:
        await desk.settle(*map(success, waiting))
        waiting = desk.outbox.take()


async def test_many_runs_go_through_in_batches(desk: Desk, pool: Pool) -> None:
    requests = [request() for _ in range(40)]
    await desk.settle(*(record(REQUESTS, each) for each in requests))
    first = desk.outbox.take()
    assert {command.run_id for command in first} == {each.run_id for each in requests}
    await desk.settle(*map(success, first))
    second = desk.outbox.take()
    assert {command.node_id for command in second} == {"b"}
    await desk.settle(*map(success, second))
    assert set((await statuses(pool)).values()) == {"succeeded"}
    assert await pool.fetchval("SELECT sum(executions) FROM execution_totals") == 80
    assert await pool.fetchval("SELECT count(*) FROM workflow_graphs") == 1
    assert len(desk.settler.memory) == 0, "what is over is forgotten"


async def test_commands_say_whose_they_are_in_their_headers(desk: Desk) -> None:
    config = {"operation": "read", "spreadsheetId": "1Bx", "sheet": "{{lead.name}}"}
    asked = request(draw([Node(id="a", type="google_sheets", config=config)]))
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    incoming = record(REQUESTS, asked)
    incoming.headers = [*incoming.headers, ("traceparent", trace.encode())]
    await desk.settle(incoming)
    sent = desk.outbox.sent[0]
    envelope = Envelope.from_headers(sent.headers)
    command = desk.outbox.take()[0]
    assert (sent.topic, sent.key) == ("node.commands.google_sheets.v1", "1Bx/أحمد محمد")
    assert envelope.traceparent[3:35] == trace[3:35]
    assert envelope.id == envelope.command_id == command.command_id
    assert (envelope.subject, envelope.workspace) == (asked.run_id, "w")
    assert (envelope.execution_id, envelope.node_id) == (command.execution_id, "a")


async def test_all_of_a_runs_events_may_come_in_one_batch(desk: Desk, pool: Pool) -> None:
    asked = request()
    await desk.settle(record(REQUESTS, asked))
    command = desk.outbox.take()[0]
    await empty(pool)
    desk.settler.memory.forget_all()
    await desk.settle(success(command), record(REQUESTS, asked), record(REQUESTS, asked))
    assert [command.node_id for command in desk.outbox.take()] == ["b"]
    rows = await pool.fetch("SELECT node_id, status FROM execution_logs ORDER BY created_at")
    assert [tuple(row) for row in rows] == [("a", "succeeded"), ("b", "queued")]


async def test_the_log_keeps_the_workflows_order_within_a_batch(desk: Desk, pool: Pool) -> None:
    asked = request(draw(["a", "b"]))
    await desk.settle(record(REQUESTS, asked))
    first = desk.outbox.take()[0]
    await empty(pool)
    desk.settler.memory.forget_all()
    await desk.settle(record(REQUESTS, asked), success(first))
    rows = await pool.fetch("SELECT node_id, status FROM execution_logs ORDER BY created_at")
    assert [tuple(row) for row in rows] == [("a", "succeeded"), ("b", "queued")]
    assert await pool.fetchval("SELECT count(DISTINCT created_at) FROM execution_logs") == 2


async def test_a_redelivered_request_sends_again_what_is_outstanding(
    desk: Desk, pool: Pool
) -> None:
    asked = record(REQUESTS, request())
    await desk.settle(asked)
    first = desk.outbox.take()
    await desk.settle(asked)
    again = desk.outbox.take()
    assert [each.command_id for each in again] == [each.command_id for each in first]
    assert again[0].config == first[0].config
    await desk.settle(success(first[0]))
    second = desk.outbox.take()
    await desk.settle(asked)
    assert [each.command_id for each in desk.outbox.take()] == [second[0].command_id]
    assert await pool.fetchval("SELECT revision FROM runs") == 2


async def test_a_redelivered_status_sends_again_what_it_had_sent(desk: Desk, pool: Pool) -> None:
    await desk.settle(record(REQUESTS, request()))
    status = success(desk.outbox.take()[0])
    await desk.settle(status)
    second = desk.outbox.take()
    for process in (desk, Desk(pool)):
        await process.settle(status, status)
        assert [each.command_id for each in process.outbox.take()] == [second[0].command_id]
    await finish(desk, second)
    await desk.settle(status)
    assert desk.outbox.take() == []
    assert await pool.fetchval("SELECT sum(executions) FROM execution_totals") == 2


async def test_two_processes_never_believe_their_memory(pool: Pool) -> None:
    retry = RetryPolicy(attempts=3, backoff_seconds=0.001)
    graph = draw([Node(id="a", type="noop", retry=retry), "b"], "a>b")
    one, two = Desk(pool), Desk(pool)
    asked = request(graph)
    await one.settle(record(REQUESTS, asked))
    first = one.outbox.take()[0]
    await two.settle(failure(first))
    due_at = await pool.fetchval("SELECT wake_at FROM runs")
    await two.settle(timer(asked.run_id, due_at))
    second = two.outbox.take()[0]
    assert second.attempt == 2
    # To the first one's memory this is an attempt that was never made.
    await one.settle(success(second))
    third = one.outbox.take()[0]
    assert third.node_id == "b"
    # The second one's memory has this node still waiting, and its revision is old.
    await two.settle(success(third))
    assert set((await statuses(pool)).values()) == {"succeeded"}
    assert await pool.fetchval("SELECT sum(executions) FROM execution_totals") == 2


async def test_kafka_being_away_is_waited_for(desk: Desk, pool: Pool) -> None:
    desk.outbox.refusals = 3
    await desk.settle(record(REQUESTS, request()))
    assert len(desk.outbox.take()) == 1
    assert await pool.fetchval("SELECT revision FROM runs") == 1


async def test_a_batch_given_up_after_its_write_is_made_good_by_the_same_records(
    desk: Desk, pool: Pool
) -> None:
    asked = [record(REQUESTS, request()) for _ in range(3)]
    desk.outbox.refusals, desk.patience = 1, 0
    with pytest.raises(GivenUp):
        await desk.settle(*asked)
    assert await pool.fetchval("SELECT count(*) FROM runs") == 3
    await Desk(pool).settle(*asked[:1])
    await desk.settle(*asked)
    assert len(desk.outbox.take()) == 3


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (Record(STATUSES, None), "no_value"),
        (Record(STATUSES, b""), "no_value"),
        (Record(REQUESTS, b"{not json"), "invalid_json"),
        (Record(STATUSES, b'{"status": "success"}'), "invalid_message"),
        (Record(TIMERS, b'{"workspace": "w", "runId": 7, "dueAt": "x"}'), "invalid_message"),
        (Record(STATUSES, b"[" * 100_000), "invalid_json"),
        (Record(TIMERS, b"\xff\xfe", [("ce_type", b"mirsal.timer.fired.v9")]), "unknown_type"),
        (Record(STATUSES, b"{", [("ce_type", None), ("traceparent", None)]), "invalid_json"),
        (timer("not-a-uuid"), "invalid_id"),
        (timer(str(uuid4())), "unknown_run"),
    ],
)
async def test_poison_is_put_aside_with_its_reason(
    desk: Desk, pool: Pool, broken: Record, reason: str
) -> None:
    healthy = request()
    await desk.settle(record(REQUESTS, healthy), broken)
    letter = next(each for each in desk.outbox.sent if each.topic.startswith("dead-letters"))
    headers = dict(letter.headers)
    assert headers["dead_letter_reason"].decode() == reason
    assert headers["dead_letter_topic"].decode() == broken.topic
    assert (headers["dead_letter_partition"], headers["dead_letter_offset"]) == (b"3", b"17")
    assert (letter.value, await statuses(pool)) == (broken.value, {healthy.run_id: "running"})


async def test_a_status_of_another_workspace_is_put_aside(desk: Desk, pool: Pool) -> None:
    await desk.settle(record(REQUESTS, request()))
    command = desk.outbox.take()[0]
    await desk.settle(success(command.model_copy(update={"workspace": "other"})))
    assert desk.outbox.take_letters() == ["foreign_status"]
    assert await pool.fetchval("SELECT revision FROM runs") == 1


async def test_a_request_that_nobody_can_read_ends_as_a_failed_run(desk: Desk, pool: Pool) -> None:
    run_id = str(uuid4())
    headers = Envelope(
        "id", RunRequested.TYPE, "gateway", run_id, "w", workflow_id="flow"
    ).to_headers()
    await desk.settle(Record(REQUESTS, b"{", headers))
    assert await statuses(pool) == {run_id: "failed"}
    error = await pool.fetchval("SELECT error FROM runs")
    assert error["code"] == "unreadable_request"
    assert len(desk.outbox.take_letters()) == 1


async def test_a_broken_request_says_nothing_against_a_run_that_exists(
    desk: Desk, pool: Pool
) -> None:
    asked = request()
    await desk.settle(record(REQUESTS, asked))
    desk.outbox.take()
    for process in (desk, Desk(pool)):
        headers = Envelope("id", RunRequested.TYPE, "x", asked.run_id, "w").to_headers()
        await process.settle(Record(REQUESTS, b"{", headers))
        assert len(process.outbox.take_letters()) == 1
    assert await statuses(pool) == {asked.run_id: "running"}


async def test_what_cannot_be_stored_fails_alone(desk: Desk, pool: Pool) -> None:
    unindexable = "".join(str(uuid4()) for _ in range(100))
    culprits = [request(lead_id=unindexable), request(lead_id="a\x00b")]
    healthy = [request() for _ in range(9)]
    mixed = [*healthy[:4], culprits[0], *healthy[4:], culprits[1]]
    await desk.settle(*(record(REQUESTS, each) for each in mixed))
    found = await statuses(pool)
    assert {found[each.run_id] for each in culprits} == {"failed"}
    assert {found[each.run_id] for each in healthy} == {"running"}
    errors = await pool.fetch("SELECT error FROM runs WHERE status = 'failed'")
    assert {row["error"]["code"] for row in errors} == {"unstorable"}
    assert desk.outbox.take_letters() == ["unstorable"] * 2


async def test_a_graph_that_cannot_be_followed_fails_its_run(desk: Desk, pool: Pool) -> None:
    await desk.settle(record(REQUESTS, request(draw(["a", "b"], "a>b", "b>a"))))
    assert (await pool.fetchval("SELECT error FROM runs"))["code"] == "invalid_workflow"


async def test_a_fault_of_ours_ends_one_run_and_not_the_batch(pool: Pool) -> None:
    desk = Desk(pool, Rules(silent_seconds=(0.0,)))
    asked = [request() for _ in range(3)]
    await desk.settle(*(record(REQUESTS, each) for each in asked))
    commands = desk.outbox.take()
    # A node that the graph does not have: the plan has no step for it.
    await pool.execute(
        "UPDATE runs SET state = replace(state::text, '\"a\"', '\"gone\"')::json WHERE id = $1",
        asked[0].run_id,
    )
    desk.settler.memory.forget_all()
    await desk.settle(timer(asked[0].run_id), *map(success, commands[1:]))
    found = await statuses(pool)
    assert found[asked[0].run_id] == "failed"
    assert {found[each.run_id] for each in asked[1:]} == {"running"}


async def test_a_direct_call_needs_no_version(desk: Desk, pool: Pool) -> None:
    asked = request(draw(["only"]), version=0).model_copy(update={"execution_id": str(uuid4())})
    await desk.settle(record(REQUESTS, asked))
    await finish(Desk(pool), desk.outbox.take())
    row = await pool.fetchrow("SELECT execution_id, status FROM execution_logs")
    assert row is not None
    assert tuple(row) == (asked.execution_id, "succeeded")
    assert await pool.fetchval("SELECT count(*) FROM workflow_graphs") == 0


async def test_a_run_goes_on_in_a_process_that_never_saw_its_graph(desk: Desk, pool: Pool) -> None:
    await desk.settle(record(REQUESTS, request()))
    await finish(Desk(pool), desk.outbox.take())
    assert set((await statuses(pool)).values()) == {"succeeded"}


async def test_big_batches_are_written_and_sent_in_parts(desk: Desk, pool: Pool) -> None:
    graph = draw([Node(id="a", type="noop", config={"value": "{{run.input.blob}}"})])
    big = request(graph).model_copy(update={"input": {"blob": "x" * 250_000}})
    asked = [big.model_copy(update={"run_id": str(uuid4())}) for _ in range(100)]
    await desk.settle(*(record(REQUESTS, each) for each in asked))
    assert max(desk.outbox.calls) <= SEND_BYTES
    assert len(desk.outbox.calls) >= 4
    assert len({command.run_id for command in desk.outbox.take()}) == 100
    assert await pool.fetchval("SELECT count(*) FROM runs") == 100


async def test_memory_is_bounded(desk: Desk) -> None:
    blob = os.urandom(200_000).hex()
    for _ in range(50):
        asked = request().model_copy(update={"input": {"blob": blob}})
        await desk.settle(record(REQUESTS, asked))
        desk.outbox.sent.clear()
    assert len(desk.settler.memory) < 45
