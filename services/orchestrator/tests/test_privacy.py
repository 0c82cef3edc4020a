"""Leads that are sealed: opened to decide, never written in the open, forgotten when erased."""

import json
from typing import Any

import pytest
from mirsal_contracts.commands import RunNode
from mirsal_contracts.controls import ForgetRun, ResolveExecution, RetryRun
from mirsal_contracts.leads import CALL, CONFIG, OUTPUT, Sealed
from mirsal_contracts.requests import RunRequested
from mirsal_contracts.statuses import NodeSucceeded
from mirsal_contracts.workflows import Graph, Node
from mirsal_runtime.vault.personal import LeadKey
from mirsal_testing.lead_keys import KeyCabinet, seal_lead
from orchestrator.batch_rehearsal import (
    NOW,
    REQUESTS,
    Desk,
    Record,
    failure,
    ids,
    record,
    request,
    timer,
)
from orchestrator.batch_rehearsal import STATUSES as STATUS_TOPIC
from orchestrator.rehearsal import LEAD, draw
from orchestrator.store.clock import DatabaseClock
from orchestrator.store.runs import Pool
from orchestrator.store.timers import TimerStore
from orchestrator.sweeper import RESTING_LIMIT, Sweeper

WORDS = "ahmed@example.com"
GRAPH = draw(["a", "b"], "a>b").model_copy(
    update={
        "nodes": (
            Node(id="a", type="noop", config={"value": "{{lead.email}} {{run.input.word}}"}),
            Node(id="b", type="noop", config={"value": "{{nodes.a.output.value}}"}),
        )
    }
)
LEAD_OF_TESTS = LEAD.model_copy(update={"email": WORDS})


async def ask(
    cabinet: KeyCabinet, graph: Graph = GRAPH, *, version: int = 1
) -> tuple[RunRequested, LeadKey]:
    """A request as the gateway writes it."""
    wanted = request(graph, version=version)
    key = await cabinet.make("w", wanted.lead.id)
    parts: dict[str, Any] = {"input": {"word": WORDS}}
    if not version:
        parts["graph"] = graph.model_dump(by_alias=True, exclude_none=True)
        bare = tuple(node.model_copy(update={"config": {}}) for node in graph.nodes)
        graph = graph.model_copy(update={"nodes": bare})
    sealed = Sealed.model_validate(key.seal(json.dumps(parts).encode(), CALL, wanted.run_id))
    lead = seal_lead(LEAD_OF_TESTS.model_copy(update={"id": wanted.lead.id}), key)
    return wanted.model_copy(update={"lead": lead, "sealed": sealed, "graph": graph}), key


def answer(command: RunNode, key: LeadKey) -> Record:
    config = key.reveal(command.config, CONFIG, command.command_id)
    output = key.hide(config, OUTPUT, command.execution_id)
    return record(STATUS_TOPIC, NodeSucceeded.model_validate({**ids(command), "output": output}))


def wish(kind: type[ForgetRun] | type[RetryRun], run_id: str) -> Record:
    members = {"workspace": "w", "run_id": run_id, "control_id": f"c-{kind.__name__}"}
    message = kind.model_validate({**members, "requested_by": "x", "requested_at": NOW})
    return record(REQUESTS, message)


async def tables(pool: Pool) -> str:
    """All that the orchestrator has written, as text."""
    found = []
    for table in ("runs", "execution_logs", "dead_letters", "workflow_graphs"):
        rows = await pool.fetch(f"SELECT row_to_json(each)::text FROM {table} AS each")  # noqa: S608 - ours
        found += [row[0] for row in rows]
    return "\n".join(found)


@pytest.mark.parametrize("remembers", [True, False])
async def test_a_sealed_run_is_decided_and_nothing_is_written_in_the_open(
    pool: Pool, *, remembers: bool
) -> None:
    cabinet = KeyCabinet()
    desk = Desk(pool, keys=cabinet.reader())
    asked, key = await ask(cabinet)
    await desk.settle(record(REQUESTS, asked))
    (first,) = desk.outbox.take()
    assert key.reveal(first.config, CONFIG, first.command_id) == {"value": f"{WORDS} {WORDS}"}
    if not remembers:
        desk = Desk(pool, keys=cabinet.reader())
    await desk.settle(answer(first, key))
    (second,) = desk.outbox.take()
    assert WORDS not in second.to_json().decode()
    assert key.reveal(second.config, CONFIG, second.command_id) == {"value": f"{WORDS} {WORDS}"}
    await desk.settle(answer(second, key))
    assert await pool.fetchval("SELECT status FROM runs WHERE id = $1", asked.run_id) == "succeeded"
    assert WORDS not in await tables(pool)


async def test_a_direct_call_is_sealed_config_and_all(pool: Pool) -> None:
    cabinet = KeyCabinet()
    graph = Graph(nodes=(Node(id="one", type="noop", config={"value": WORDS}),))
    asked, key = await ask(cabinet, graph, version=0)
    await Desk(pool, keys=cabinet.reader()).settle(record(REQUESTS, asked))
    # Another process, which has the table only, asks again.
    desk = Desk(pool, keys=cabinet.reader())
    await desk.settle(record(REQUESTS, asked))
    (command,) = desk.outbox.take()
    assert key.reveal(command.config, CONFIG, command.command_id) == {"value": WORDS}
    assert WORDS not in await tables(pool)


async def test_a_config_that_nothing_was_filled_into_travels_in_the_open(pool: Pool) -> None:
    cabinet = KeyCabinet()
    graph = Graph(nodes=(Node(id="one", type="noop", config={"value": "plain"}),))
    desk = Desk(pool, keys=cabinet.reader())
    asked, _ = await ask(cabinet, graph)
    await desk.settle(record(REQUESTS, asked))
    (command,) = desk.outbox.take()
    assert command.config == {"value": "plain"}


async def test_runs_of_an_erased_lead_end_wherever_they_are(pool: Pool) -> None:
    cabinet = KeyCabinet()
    desk = Desk(pool, keys=cabinet.reader())
    (begun, key), (new, other) = await ask(cabinet), await ask(cabinet)
    await desk.settle(record(REQUESTS, begun))
    (command,) = desk.outbox.take()
    cabinet.erase(key)
    cabinet.erase(other)
    status = answer(command, key)
    await desk.settle(status, record(REQUESTS, new))
    # And again: what was redelivered changes nothing.
    await desk.settle(status, record(REQUESTS, begun), record(REQUESTS, new))
    assert not desk.outbox.sent
    rows = await pool.fetch(
        "SELECT status, error ->> 'code' AS code, request::text FROM runs WHERE id = ANY($1)",
        [begun.run_id, new.run_id],
    )
    assert [(row["status"], row["code"]) for row in rows] == [("failed", "lead_erased")] * 2
    assert not any("sealed" in row["request"] for row in rows)


async def test_a_run_that_is_to_be_forgotten_keeps_nothing_personal(pool: Pool) -> None:
    """One of the release before, in the open, and failed already."""
    desk = Desk(pool)
    asked = request(GRAPH).model_copy(update={"lead": LEAD_OF_TESTS, "input": {"word": WORDS}})
    await desk.settle(record(REQUESTS, asked))
    (command,) = desk.outbox.take()
    output = {"value": WORDS}
    done = NodeSucceeded.model_validate({**ids(command), "output": output})
    await desk.settle(record(STATUS_TOPIC, done))
    (second,) = desk.outbox.take()
    await desk.settle(failure(second, "permanent"))
    assert WORDS in await tables(pool)
    await desk.settle(wish(ForgetRun, asked.run_id))
    left = await tables(pool)
    assert WORDS not in left
    assert "it broke" not in left
    assert await pool.fetchval("SELECT error ->> 'code' FROM runs WHERE id = $1", asked.run_id) == (
        "broken"
    )
    codes = await pool.fetch(
        "SELECT status, error_details ->> 'code' AS code FROM execution_logs WHERE run_id = $1"
        " ORDER BY created_at",
        asked.run_id,
    )
    assert [tuple(row) for row in codes] == [("succeeded", None), ("failed", "broken")]
    await desk.settle(wish(RetryRun, asked.run_id), wish(ForgetRun, asked.run_id))
    assert not desk.outbox.sent


async def test_what_does_not_open_is_a_dead_letter_and_no_erasure(pool: Pool) -> None:
    cabinet = KeyCabinet()
    desk = Desk(pool, keys=cabinet.reader())
    asked, key = await ask(cabinet)
    cabinet.move(key, lead_id="other")
    await desk.settle(record(REQUESTS, asked))
    assert desk.outbox.take_letters() == ["lead_unreadable"]
    error = await pool.fetchval("SELECT error ->> 'code' FROM runs WHERE id = $1", asked.run_id)
    assert error == "lead_unreadable"


async def park(desk: Desk, cabinet: KeyCabinet, kind: str) -> tuple[str, LeadKey, RunNode]:
    """A run whose first command failed in this way."""
    asked, key = await ask(cabinet)
    await desk.settle(record(REQUESTS, asked))
    (command,) = desk.outbox.take()
    await desk.settle(failure(command, kind))
    assert not desk.outbox.sent
    return asked.run_id, key, command


async def read_end(pool: Pool, run_id: str) -> tuple[str, str, bool]:
    """A run's status, its error's code, and whether it keeps something sealed."""
    row = await pool.fetchrow(
        "SELECT status, error ->> 'code' AS code, request::text LIKE '%sealed%' AS keeps"
        " FROM runs WHERE id = $1",
        run_id,
    )
    assert row is not None
    return (row["status"], row["code"], row["keeps"])


@pytest.mark.parametrize("kind", ["permanent", "action_required", "transient"])
async def test_what_resumes_a_run_sees_an_erasure_of_this_moment(pool: Pool, kind: str) -> None:
    """The key is remembered for some seconds more; nothing goes out by it."""
    cabinet = KeyCabinet()
    desk = Desk(pool, keys=cabinet.reader())
    run_id, key, command = await park(desk, cabinet, kind)
    other, _, other_command = await park(desk, cabinet, kind)
    del cabinet.rows[key.id]
    for resumed, asked in ((run_id, command), (other, other_command)):
        match kind:
            case "permanent":
                event = wish(RetryRun, resumed)
            case "action_required":
                members = {"workspace": "w", "run_id": resumed, "control_id": "c"}
                message = ResolveExecution.model_validate(
                    {
                        **members, "requested_by": "x", "requested_at": NOW, "node_id": "a",
                        "execution_id": asked.execution_id, "attempt": 1, "verdict": "resend",
                    }
                )  # fmt: skip
                event = record(REQUESTS, message)
            case _:
                event = timer(resumed, await pool.fetchval("SELECT now() + interval '1 h'"))
        await desk.settle(event)
    # The one whose lead is there shows that the others would have been sent.
    assert [each.run_id for each in desk.outbox.take()] == [other]
    status, code, keeps = await read_end(pool, run_id)
    assert (status, keeps) == ("failed", False)
    assert code == ("broken" if kind == "permanent" else "lead_erased")


async def test_a_run_that_parks_while_its_lead_is_erased_is_ended_by_the_sweeper(
    pool: Pool,
) -> None:
    cabinet = KeyCabinet()
    desk = Desk(pool, keys=cabinet.reader())
    sweeper = Sweeper(TimerStore(pool, DatabaseClock()), cabinet.reader())
    run_id, key, _ = await park(desk, cabinet, "action_required")
    other, _, _ = await park(desk, cabinet, "action_required")
    assert await sweeper.wake_erased() == []
    del cabinet.rows[key.id]
    assert (await read_end(pool, run_id))[0] == "paused"
    assert await sweeper.wake_erased() == [run_id]
    (due,) = await TimerStore(pool, DatabaseClock()).lease_due(10)
    assert due.run_id == run_id
    await desk.settle(timer(run_id, due.due_at))
    assert await read_end(pool, run_id) == ("failed", "lead_erased", False)
    assert (await read_end(pool, other))[0] == "paused"
    assert await sweeper.wake_erased() == []


async def test_the_sweeper_comes_to_all_runs_that_rest(pool: Pool) -> None:
    cabinet = KeyCabinet()
    desk = Desk(pool, keys=cabinet.reader())
    run_id, key, _ = await park(desk, cabinet, "action_required")
    await pool.execute(
        "INSERT INTO runs (id, workspace, workflow_id, version, lead_id, status, request, state,"
        " created_at, updated_at) SELECT lpad(to_hex(number), 32, '0')::uuid, 'w', 'flow', 1, 'x',"
        " 'paused', '{}', '{}', now(), now() FROM generate_series(1, $1) AS number",
        RESTING_LIMIT,
    )
    del cabinet.rows[key.id]
    sweeper = Sweeper(TimerStore(pool, DatabaseClock()), cabinet.reader())
    assert [await sweeper.wake_erased() for _ in range(2)] == [[], [run_id]]
