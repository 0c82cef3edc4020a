"""Dead letters that are kept and replayed, on a real PostgreSQL: each counts once or not at all."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from aiokafka.structs import ConsumerRecord
from mirsal_contracts.commands import RunNode
from mirsal_contracts.controls import ReplayLetter
from mirsal_contracts.message import Envelope
from mirsal_contracts.requests import RunRequested
from mirsal_contracts.statuses import UNREADABLE_COMMAND, Fault, NodeFailed, NodeSucceeded
from mirsal_contracts.topics import DEAD_LETTERS_NOOP_V1, NODE_COMMANDS_NOOP_V1
from mirsal_runtime.broker import Outgoing
from mirsal_runtime.dead_letters import Letter, dead_letter_of
from orchestrator.batch_rehearsal import (
    NOW,
    REQUESTS,
    STATUSES,
    Desk,
    Record,
    ids,
    record,
    request,
    success,
)
from orchestrator.decide import Rules
from orchestrator.intake.index import letter_of
from orchestrator.store.letters import NewLetter, Place
from orchestrator.store.runs import Pool


@pytest.fixture
def desk(pool: Pool) -> Desk:
    return Desk(pool)


def lying(sent: Outgoing, offset: int = 0) -> NewLetter:
    """What the index makes of a dead letter that Kafka has."""
    stamp = int(NOW.timestamp() * 1000)
    found: Any = ConsumerRecord(
        sent.topic, 0, offset, stamp, 0, sent.key, sent.value, None, 0, 0, sent.headers
    )
    return letter_of(found, "", "operators")


async def keep_sent(desk: Desk) -> list[NewLetter]:
    """Keep all dead letters that were sent since the last call."""
    sent, desk.outbox.sent = desk.outbox.sent, []
    letters = [lying(each) for each in sent if each.topic.startswith("dead-letters")]
    await desk.store.letters.keep(letters, [])
    return letters


async def keep_command(desk: Desk, command: RunNode) -> NewLetter:
    """The command could not be read by its worker."""
    about = Envelope(
        command.command_id, RunNode.TYPE, "orchestrator", command.run_id, command.workspace,
        execution_id=command.execution_id, command_id=command.command_id,
        workflow_id=command.workflow_id, node_id=command.node_id,
    )  # fmt: skip
    letter = Letter(
        NODE_COMMANDS_NOOP_V1.name, 1, 7, b"key", command.to_json(), tuple(about.to_headers())
    )
    dead = lying(dead_letter_of(letter, DEAD_LETTERS_NOOP_V1.name, "invalid", "no"))
    await desk.store.letters.keep([dead], [])
    return dead


def wish(letter: NewLetter, control_id: str = "wish-1", **changes: Any) -> Record:
    """A person wants it replayed."""
    message = ReplayLetter(
        workspace=letter.workspace,
        run_id=str(letter.run_id),
        control_id=control_id,
        requested_by="sara",
        requested_at=NOW,
        letter_id=str(letter.id),
    )
    return record(REQUESTS, message.model_copy(update=changes))


async def outcomes(pool: Pool) -> list[str]:
    """What became of the replays, the earliest first."""
    rows = await pool.fetch("SELECT outcome FROM dead_letter_replays ORDER BY replay_id")
    return [row["outcome"] for row in rows]


async def only_status(pool: Pool) -> Sequence[Any]:
    """The status of the one run."""
    (row,) = await pool.fetch("SELECT status FROM runs")
    return str(row["status"])


async def test_a_letter_is_kept_once_with_where_it_was_and_why(desk: Desk, pool: Pool) -> None:
    run_id = str(uuid4())
    about = Envelope("id", "mirsal.future.v1", "x", run_id, "w", workflow_id="flow").to_headers()
    headers = [*about, ("note", b"\xff\x00"), ("dead_letter_reason", b"forged")]
    await desk.settle(Record(STATUSES, b'{"leadId": "sara"}', headers, key=b"k"))
    sent = [each for each in desk.outbox.sent if each.topic.startswith("dead-letters")]
    place = Place(sent[0].topic, 0, 5)
    assert await desk.store.letters.keep([lying(sent[0], 3)], [place]) == 1
    assert await desk.store.letters.keep([lying(sent[0], 4)], [place._replace(offset=6)]) == 0
    (row,) = await pool.fetch("SELECT * FROM dead_letters")
    assert (row["topic"], row["partition"], row["position"]) == (STATUSES, 3, 17)
    assert (row["letter_topic"], row["letter_position"]) == (sent[0].topic, 3)
    assert (row["reason"], row["connector"]) == ("unknown_type", "orchestrator")
    assert (row["workspace"], row["workflow_id"], row["lead_id"]) == ("w", "flow", "sara")
    assert (row["key"], row["value"]) == (b"k", b'{"leadId": "sara"}')
    kept = (await desk.store.letters.load([str(row["id"])]))[str(row["id"])]
    assert list(kept.headers) == headers[:-1]
    assert await desk.store.letters.read_places() == {(place.topic, 0): 6}


async def test_whoever_names_no_workspace_is_the_operators(desk: Desk) -> None:
    await desk.settle(Record(REQUESTS, b"{"))
    (letter,) = await keep_sent(desk)
    assert (letter.workspace, letter.run_id) == ("operators", None)


async def test_a_command_is_asked_for_again_only_while_it_is_awaited(
    desk: Desk, pool: Pool
) -> None:
    await desk.settle(record(REQUESTS, request()))
    (command,) = desk.outbox.take()
    letter = await keep_command(desk, command)
    await desk.settle(wish(letter))
    assert [each.command_id for each in desk.outbox.take()] == [command.command_id]
    await desk.settle(success(command))
    assert [each.node_id for each in desk.outbox.take()] == ["b"]
    for process in (desk, Desk(pool)):
        # The original was done meanwhile, and the first wish comes once more, too.
        await process.settle(wish(letter, "wish-2"), wish(letter))
        assert process.outbox.take() == []
    assert await outcomes(pool) == ["reissued", "not_awaited"]
    row = await pool.fetchrow("SELECT replayed_by, outcome FROM dead_letters")
    assert row is not None
    assert tuple(row) == ("sara", "not_awaited")


async def test_a_run_that_an_unreadable_command_ended_goes_on(desk: Desk, pool: Pool) -> None:
    await desk.settle(record(REQUESTS, request()))
    (command,) = desk.outbox.take()
    letter = await keep_command(desk, command)
    fault = Fault(code=UNREADABLE_COMMAND, message="no")
    failed = NodeFailed.model_validate({**ids(command), "kind": "permanent", "error": fault})
    await desk.settle(record(STATUSES, failed))
    assert await only_status(pool) == "failed"
    await desk.settle(wish(letter), wish(letter))
    (again,) = desk.outbox.take()
    assert (again.execution_id, again.attempt) == (command.execution_id, 1)
    assert (await only_status(pool), await outcomes(pool)) == ("running", ["reissued"])


async def test_a_status_that_was_put_aside_counts_at_its_replay_and_only_once(
    desk: Desk, pool: Pool
) -> None:
    asked = request()
    await desk.settle(record(REQUESTS, asked))
    (command,) = desk.outbox.take()
    about = Envelope("id", NodeSucceeded.TYPE, "x", command.run_id, "w")
    status = Record(STATUSES, success(command).value, about.to_headers())
    # It came before its run did.
    await pool.execute("DELETE FROM runs")
    fresh = Desk(pool)
    await fresh.settle(status)
    (letter,) = await keep_sent(fresh)
    assert letter.reason == "unknown_run"
    await fresh.settle(wish(letter))
    await fresh.settle(record(REQUESTS, asked))
    fresh.outbox.take()
    await fresh.settle(wish(letter, "wish-2"))
    assert [each.node_id for each in fresh.outbox.take()] == ["b"]
    await fresh.settle(wish(letter, "wish-3"))
    # It caused this command, which may have died with its process.
    assert [each.attempt for each in fresh.outbox.take()] == [1]
    assert await outcomes(pool) == ["unknown_run", "taken", "reissued"]


async def test_a_request_that_failed_before_it_began_begins_at_its_replay(pool: Pool) -> None:
    broken = Desk(pool, Rules(silent_seconds=()))
    asked = request()
    about = Envelope("id", RunRequested.TYPE, "gateway", asked.run_id, "w").to_headers()
    await broken.settle(Record(REQUESTS, asked.to_json(), about))
    assert (await pool.fetchval("SELECT error FROM runs"))["code"] == "internal_error"
    (letter,) = await keep_sent(broken)
    await broken.settle(wish(letter))
    assert (await only_status(pool), await outcomes(pool)) == ("failed", ["failed"])
    mended = Desk(pool)
    await mended.settle(wish(letter, "wish-2"), wish(letter, "wish-2"))
    assert [each.node_id for each in mended.outbox.take()] == ["a"]
    await mended.settle(wish(letter, "wish-3"))
    assert [each.attempt for each in mended.outbox.take()] == [1], "the same command once more"
    assert await only_status(pool) == "running"
    assert await outcomes(pool) == ["failed", "taken", "reissued"]


async def test_what_still_cannot_be_read_is_marked_and_put_aside_no_second_time(
    desk: Desk, pool: Pool
) -> None:
    about = Envelope("id", RunRequested.TYPE, "x", str(uuid4()), "w").to_headers()
    await desk.settle(Record(REQUESTS, b"{", about))
    (letter,) = await keep_sent(desk)
    await desk.settle(wish(letter))
    assert desk.outbox.sent == []
    assert (await outcomes(pool), await only_status(pool)) == (["unreadable"], "failed")


@pytest.mark.parametrize(
    "changes",
    [{"workspace": "other"}, {"run_id": str(uuid4())}, {"letter_id": str(uuid4())},
     {"letter_id": "no-uuid"}],
)  # fmt: skip
async def test_nobody_replays_what_is_not_his(
    desk: Desk, pool: Pool, changes: dict[str, str]
) -> None:
    await desk.settle(record(REQUESTS, request()))
    (command,) = desk.outbox.take()
    letter = await keep_command(desk, command)
    await desk.settle(wish(letter, **changes))
    assert (desk.outbox.sent, await outcomes(pool)) == ([], [])
    assert await only_status(pool) == "running"


async def test_old_letters_are_forgotten(desk: Desk, pool: Pool) -> None:
    await desk.settle(Record(REQUESTS, b"{"), Record(STATUSES, b"{"))
    letters = await keep_sent(desk)
    long_ago = datetime.now(UTC) - timedelta(days=31)
    await pool.execute(
        "UPDATE dead_letters SET died_at = $2 WHERE id = $1", letters[0].id, long_ago
    )
    assert await desk.store.letters.forget_old(timedelta(days=30), 10) == 1
    assert await pool.fetchval("SELECT id FROM dead_letters") == letters[1].id
