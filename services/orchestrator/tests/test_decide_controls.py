"""What people want of runs: cancelled, gone on with, and executions that rest decided."""

import pytest
from mirsal_contracts.statuses import UNREADABLE_COMMAND
from mirsal_contracts.workflows import Graph, Node
from orchestrator.decide import Resolved
from orchestrator.rehearsal import Rehearsal, draw

A, B, C = (Node(id=name, type="noop", on_unconfirmed="park") for name in "abc")
SEQUENCE = draw([A, B], "a>b")
SIDE_BY_SIDE = draw([A, B, C], "a>c", "b>c")


def started(graph: Graph = SEQUENCE) -> Rehearsal:
    run = Rehearsal(graph)
    run.request()
    return run


def test_a_cancelled_run_is_over_at_once_and_sends_nothing_more() -> None:
    run = started(SIDE_BY_SIDE)
    run.fail("b")
    decision = run.cancel()
    assert run.status == "cancelled"
    assert run.phases == {"a": "cancelled", "b": "cancelled"}
    assert not decision.commands
    assert run.now.reason == {"code": "cancelled", "message": "cancelled by sara"}
    assert run.rows["a"].error is not None
    assert "on its way" in str(run.rows["a"].error["message"])
    assert not run.request().commands


def test_a_late_result_is_recorded_and_changes_nothing_else() -> None:
    run = started()
    run.cancel()
    decision = run.succeed("a", {"messageId": "7"})
    assert decision.ignored is None
    assert run.status == "cancelled"
    assert run.phases == {"a": "cancelled"}
    (row,) = decision.rows
    assert (row.status, row.output, row.is_late) == ("cancelled", {"messageId": "7"}, True)
    assert run.succeed("a", {"messageId": "7"}).ignored is not None
    assert run.fail("a", "permanent").ignored is not None


def test_a_cancel_that_comes_after_the_end_changes_nothing() -> None:
    run = started(draw([A]))
    run.succeed("a")
    assert not run.cancel().rows
    assert run.status == "succeeded"


def test_a_cancel_that_is_redelivered_after_a_retry_does_not_cancel_again() -> None:
    run = started()
    run.cancel("first")
    run.retry("second")
    assert run.cancel("first").ignored is not None
    assert run.status == "running"
    assert run.cancel("third").ignored is None
    assert run.status == "cancelled"


def test_a_retry_goes_on_from_what_failed() -> None:
    run = started()
    run.succeed("a", {"x": 1})
    run.fail("b", "permanent")
    assert run.status == "failed"
    (command,) = run.retry().commands
    assert (command.message.node_id, command.message.attempt) == ("b", 2)
    assert (run.status, run.now.error) == ("running", None)
    run.succeed("b")
    assert run.status == "succeeded"
    assert [each.node_id for each in run.sent] == ["a", "b", "b"]


def test_a_retry_starts_what_the_failure_kept_from_starting() -> None:
    run = started(SIDE_BY_SIDE)
    run.fail("a", "permanent")
    run.succeed("b")
    assert "c" not in run.phases
    run.retry()
    run.succeed("a")
    assert run.phases["c"] == "queued"


def test_a_retry_starts_what_was_ready_while_the_run_failed() -> None:
    run = started(draw([A, B, C], "a>c"))
    run.fail("b", "permanent")
    run.succeed("a")
    assert run.status == "failed"
    assert {each.message.node_id for each in run.retry().commands} == {"b", "c"}


def test_a_retry_that_is_redelivered_sends_the_same_again_and_none_after_another_failure() -> None:
    run = started(draw([A]))
    run.fail("a", "permanent")
    (command,) = run.retry("r").commands
    (again,) = run.retry("r").commands
    assert again.message.command_id == command.message.command_id
    run.fail("a", "permanent")
    assert not run.retry("r").commands
    assert run.status == "failed"


def test_what_was_on_its_way_when_cancelled_is_asked_for_under_its_own_attempt() -> None:
    """Nobody knows whether it happened: another attempt might be a second message."""
    run = started()
    run.cancel()
    (command,) = run.retry().commands
    assert command.message.command_id == run.sent[0].command_id
    run.succeed("a")
    assert run.phases == {"a": "succeeded", "b": "queued"}


@pytest.mark.parametrize("knows_before", [True, False])
def test_what_happened_after_all_is_not_done_again(knows_before: bool) -> None:
    run = started()
    run.cancel()
    if knows_before:
        run.succeed("a", {"x": 1})
    run.retry()
    if not knows_before:
        run.succeed("a", {"x": 1})
    assert run.phases == {"a": "succeeded", "b": "queued"}
    assert run.now.nodes["a"].output == {"x": 1}
    assert {(each.node_id, each.attempt) for each in run.sent} == {("a", 1), ("b", 1)}


def test_what_was_in_doubt_when_cancelled_is_in_doubt_again() -> None:
    run = started()
    run.doubt("a")
    run.cancel()
    assert not run.retry().commands
    assert (run.status, run.phases) == ("unconfirmed", {"a": "unconfirmed"})


def test_a_person_knows_that_it_was_sent() -> None:
    run = started()
    run.doubt("a")
    run.resolve("a", "sent")
    assert run.phases == {"a": "succeeded", "b": "queued"}
    assert run.rows["a"].output == {"confirmedBy": "sara"}


def test_a_person_has_it_sent_again_once() -> None:
    run = started()
    run.doubt("a")
    (command,) = run.resolve("a", "resend", "v", attempt=1).commands
    assert command.message.attempt == 2
    run.doubt("a")
    assert not run.resolve("a", "resend", "another", attempt=1).commands
    assert run.phases == {"a": "unconfirmed"}


def test_a_person_gives_up_and_a_retry_asks_again_rather_than_sends() -> None:
    run = started()
    run.doubt("a")
    run.resolve("a", "give_up")
    assert (run.status, run.phases) == ("failed", {"a": "failed"})
    assert run.rows["a"].error is not None
    assert run.rows["a"].error["code"] == "given_up"
    assert not run.retry().commands
    assert run.status == "unconfirmed"


def test_what_a_person_must_act_on_goes_on_when_told() -> None:
    run = started()
    run.fail("a", "action_required")
    assert not run.resolve("a", "sent").rows, "nothing was sent"
    (command,) = run.resolve("a", "resend", "w").commands
    assert command.message.attempt == 2


def test_nothing_is_sent_again_within_a_run_that_has_failed() -> None:
    run = started(SIDE_BY_SIDE)
    run.doubt("a")
    run.fail("b", "permanent")
    assert not run.resolve("a", "resend").commands
    run.resolve("a", "sent", "w")
    assert run.status == "failed"


def test_what_another_workspace_wants_is_foreign() -> None:
    run = started()
    event = run.resolution("a", "sent").model_copy(update={"workspace": "x"})
    decision = run.happen(Resolved(run.at, event))
    assert decision.ignored is not None
    assert decision.ignored.foreign


def test_a_dead_command_is_asked_for_again_while_its_answer_is_awaited() -> None:
    run = started()
    decision = run.replay("a")
    (command,) = decision.commands
    assert (command.message.node_id, command.message.attempt) == ("a", 1)
    assert run.replay("a", "p2").commands, "each wish asks once more, for the same attempt"
    run.succeed("a")
    for again in (run.replay("a", "p3"), run.replay("a", "p4", attempt=0)):
        assert again.ignored is not None
        assert not again.commands
    assert run.phases == {"a": "succeeded", "b": "queued"}


def test_a_run_that_failed_by_an_unreadable_command_goes_on_after_its_replay() -> None:
    run = started(SIDE_BY_SIDE)
    run.fail("b", "permanent", code=UNREADABLE_COMMAND)
    assert run.replay("b").ignored is not None, "another node's answer is still awaited"
    run.succeed("a")
    assert run.status == "failed"
    (command,) = run.replay("b", "p2").commands
    assert (command.message.node_id, command.message.attempt) == ("b", 1), "the ledger may know it"
    redelivered = run.replay("b", "p2")
    assert redelivered.ignored is not None
    assert [each.message.attempt for each in redelivered.commands] == [1], "under the same id"
    run.succeed("b")
    run.succeed("c")
    assert run.status == "succeeded"


def test_that_it_could_not_be_read_is_no_news_after_it_was_asked_for_again() -> None:
    run = started(draw([A]))
    unreadable = run.failure_of("a", "permanent", code=UNREADABLE_COMMAND)
    run.tell(unreadable)
    (command,) = run.retry().commands
    assert command.message.attempt == 1
    assert run.tell(unreadable).ignored is not None
    assert run.status == "running"
    later = {"started_at": run.at, "ended_at": run.at}
    run.tell(unreadable.model_copy(update=later))
    assert run.status == "failed", "another copy of it, or the same process again"
    run.retry("r2")
    run.succeed("a")
    assert run.status == "succeeded"


@pytest.mark.parametrize("code", ["broken", "rejected"])
def test_a_replay_makes_no_new_attempt_of_what_failed_for_another_reason(code: str) -> None:
    run = started()
    run.fail("a", "permanent", code=code)
    assert run.replay("a").ignored is not None
    assert run.status == "failed"


def test_a_replay_decides_nothing_that_is_in_doubt_or_cancelled() -> None:
    run = started()
    run.doubt("a")
    assert run.replay("a").ignored is not None
    run.cancel()
    assert run.replay("a", "p2").ignored is not None
    assert run.status == "cancelled"


def test_that_one_could_not_read_it_proves_nothing_where_another_may_have_sent_it() -> None:
    run = started(draw([A]))
    unreadable = run.failure_of("a", "permanent", code=UNREADABLE_COMMAND)
    run.cancel()
    assert run.tell(unreadable).ignored is not None
    (command,) = run.retry().commands
    assert command.message.attempt == 1, "its connector is asked what became of it"
    run.doubt("a")
    assert run.tell(unreadable).ignored is not None
    assert run.phases == {"a": "unconfirmed"}
