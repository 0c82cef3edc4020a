"""What becomes of an attempt: retries, throttles, silence, doubt, people, and late news."""

from datetime import timedelta

import pytest
from mirsal_contracts.statuses import FailureKind
from mirsal_contracts.workflows import Node, RetryPolicy
from orchestrator.decide import Woken
from orchestrator.decide.retry import SILENT_SECONDS, backoff_seconds, throttle_seconds
from orchestrator.decide.state import FINAL
from orchestrator.decide.transitions import TRANSITIONS
from orchestrator.rehearsal import Rehearsal, draw

POLICY = RetryPolicy(attempts=3, backoff_seconds=10, max_backoff_seconds=15)


def node(node_id: str = "a", *, resend: bool = False) -> Node:
    return Node(
        id=node_id,
        type="noop",
        retry=POLICY,
        on_unconfirmed="resend" if resend else "park",
    )


def started(*connections: str, nodes: list[Node | str] | None = None) -> Rehearsal:
    run = Rehearsal(draw(nodes or [node()], *connections))
    run.request()
    return run


def test_a_transient_failure_is_tried_again_after_a_pause() -> None:
    run = started()
    run.fail("a")
    assert run.phases == {"a": "retrying"}
    assert run.status == "waiting"
    row = run.rows["a"]
    assert (row.status, row.retry_count, row.max_retries) == ("retrying", 1, 2)
    assert row.error is not None
    assert row.error["code"] == "broken"
    wake_at = run.now.wake_at
    assert wake_at is not None
    assert timedelta(seconds=5) <= wake_at - run.at <= timedelta(seconds=10)
    run.wake()
    assert run.phases == {"a": "queued"}
    assert [command.attempt for command in run.sent] == [1, 2]
    assert run.sent[0].command_id != run.sent[1].command_id
    assert run.sent[0].config == run.sent[1].config


def test_a_wake_up_is_believed_even_if_our_clock_is_a_little_behind() -> None:
    run = started()
    run.fail("a")
    due_at = run.now.wake_at
    assert due_at is not None
    decision = run.happen(Woken(due_at - timedelta(milliseconds=2), due_at))
    assert decision.ignored is None
    assert run.phases == {"a": "queued"}


def test_after_the_last_try_the_node_fails_for_good() -> None:
    run = started()
    for _ in range(2):
        run.fail("a")
        run.wake()
    run.fail("a", code="still_broken")
    assert run.status == "failed"
    assert run.now.error is not None
    assert (run.now.error["code"], run.now.error["nodeId"]) == ("still_broken", "a")
    assert run.rows["a"].retry_count == 2
    assert len(run.sent) == 3


def test_the_duration_spans_all_tries() -> None:
    run = started()
    run.fail("a")
    first = run.rows["a"].start_time
    run.wake()
    run.succeed("a")
    row = run.rows["a"]
    assert row.start_time == first
    assert row.start_time is not None
    assert row.end_time is not None
    assert row.duration_ms == (row.end_time - row.start_time) // timedelta(milliseconds=1)
    assert row.error is None


def test_a_provider_that_names_a_time_is_not_asked_before_it() -> None:
    run = started()
    run.fail("a", retry_after=500)
    wake_at = run.now.wake_at
    assert wake_at is not None
    assert wake_at - run.at == timedelta(seconds=500)


@pytest.mark.parametrize("kind", ["throttled", "expired"])
def test_who_was_throttled_or_too_late_has_lost_no_retry(kind: FailureKind) -> None:
    run = started()
    for round_ in range(10):
        run.fail("a", kind, retry_after=100)
        if kind == "throttled":
            wake_at = run.now.wake_at
            assert wake_at is not None
            assert timedelta(seconds=100) <= wake_at - run.at <= timedelta(seconds=110)
            run.wake()
        assert run.sent[-1].attempt == round_ + 2
    assert run.rows["a"].retry_count == 0
    assert run.phases == {"a": "queued"}


def test_what_a_person_must_settle_parks_the_run() -> None:
    run = started("a>b", nodes=[node(), "b"])
    run.fail("a", "action_required", code="token_revoked")
    assert run.status == "paused"
    assert run.now.wake_at is None
    assert run.rows["a"].status == "waiting"
    reason = run.now.reason
    assert reason is not None
    assert (reason["code"], reason["nodeId"]) == ("token_revoked", "a")


def test_a_silent_command_is_sent_again_as_it_was_with_growing_pauses() -> None:
    run = started()
    pauses = []
    for _ in SILENT_SECONDS:
        before = run.at
        run.wake()
        pauses.append((run.at - before).total_seconds())
    assert pauses == list(SILENT_SECONDS)
    assert {(command.command_id, command.attempt) for command in run.sent} == {
        (run.sent[0].command_id, 1)
    }
    assert len(run.sent) == len(SILENT_SECONDS)
    deadlines = [command.deadline for command in run.sent]
    assert deadlines == sorted(set(deadlines))
    assert run.status == "paused"
    assert run.now.wake_at is None
    assert run.rows["a"].status == "waiting"
    assert run.now.reason is not None
    assert run.now.reason["code"] == "no_answer"


@pytest.mark.parametrize(
    ("kind", "phase"),
    [("transient", "retrying"), ("expired", "queued"), ("permanent", "failed")],
)
def test_a_late_answer_still_counts(kind: FailureKind, phase: str) -> None:
    run = started()
    for _ in SILENT_SECONDS:
        run.wake()
    run.fail("a", kind)
    assert run.phases == {"a": phase}


def test_a_new_attempt_has_all_its_rounds() -> None:
    run = started()
    run.wake()
    run.wake()
    run.fail("a", "expired")
    for seconds in SILENT_SECONDS[:4]:
        before = run.at
        run.wake()
        assert (run.at - before).total_seconds() == seconds


def test_what_nobody_knows_rests_until_evidence_comes() -> None:
    run = started("a>b", nodes=[node(), "b"])
    run.doubt("a")
    assert run.status == "unconfirmed"
    assert run.rows["a"].status == "unconfirmed"
    assert run.now.wake_at is None
    assert run.now.reason is not None
    assert run.now.reason["code"] == "answer_lost"
    run.succeed("a")
    assert run.phases == {"a": "succeeded", "b": "queued"}
    assert run.now.reason is None


def test_evidence_that_it_did_not_happen_is_as_good() -> None:
    run = started()
    run.doubt("a")
    run.fail("a", "permanent", code="refused")
    assert run.status == "failed"
    assert run.now.error is not None
    assert run.now.error["code"] == "refused"


def test_a_repeatable_effect_is_repeated_as_often_as_retries_are_left() -> None:
    run = started(nodes=[node(resend=True)])
    for _ in range(2):
        run.doubt("a")
        assert run.phases == {"a": "retrying"}
        run.wake()
    run.doubt("a")
    assert run.status == "unconfirmed"
    assert [command.attempt for command in run.sent] == [1, 2, 3]


def test_the_policy_of_the_type_holds_where_the_node_has_none() -> None:
    message = Node(id="a", type="whatsapp", config={"text": "hi"})
    run = started(nodes=[message, "b"])
    run.doubt("a")
    run.doubt("b")
    assert run.phases == {"a": "unconfirmed", "b": "retrying"}


@pytest.mark.parametrize("prepare", ["retrying", "parked", "queued again"])
def test_that_it_happened_counts_however_late(prepare: str) -> None:
    run = started("a>b", nodes=[node(resend=True), "b"])
    if prepare == "parked":
        run.fail("a", "action_required")
    else:
        run.doubt("a")
    if prepare == "queued again":
        run.wake()
    run.succeed("a", attempt=1)
    assert run.phases == {"a": "succeeded", "b": "queued"}


@pytest.mark.parametrize("kind", ["transient", "permanent", "expired", "action_required"])
def test_a_failure_of_an_earlier_attempt_is_no_news(kind: FailureKind) -> None:
    run = started()
    run.fail("a")
    run.wake()
    before = run.now
    decision = run.fail("a", kind, attempt=1)
    assert decision.ignored is not None
    assert run.now is before


def test_a_repeated_status_sends_again_what_it_had_sent_and_not_its_siblings() -> None:
    run = started("a>b", "a>c", "b>d", nodes=["a", "b", "c", "d"])
    run.succeed("a")
    status = run.success_of("b")
    run.tell(status)
    assert run.phases == {"a": "succeeded", "b": "succeeded", "c": "queued", "d": "queued"}
    again = run.tell(status)
    assert [command.message.node_id for command in again.commands] == ["d"]
    everything = run.request()
    assert [command.message.node_id for command in everything.commands] == ["c", "d"]


def test_a_failure_stops_what_has_not_started_and_waits_for_what_has() -> None:
    nodes: list[Node | str] = [node("a"), node("b"), node("c"), node("d"), "next"]
    run = started("b>next", nodes=nodes)
    run.fail("c")
    run.fail("d", "action_required")
    run.fail("a", "permanent", code="first")
    assert run.phases == {"a": "failed", "b": "queued", "c": "cancelled", "d": "cancelled"}
    assert run.status == "running"
    run.succeed("b")
    assert "next" not in run.phases
    assert run.status == "failed"
    assert run.now.error is not None
    assert run.now.error["code"] == "first"


@pytest.mark.parametrize(
    ("kind", "phase"),
    [
        ("transient", "cancelled"),
        ("throttled", "cancelled"),
        ("expired", "cancelled"),
        ("action_required", "cancelled"),
        ("permanent", "failed"),
    ],
)
def test_in_a_failing_run_no_attempt_follows(kind: FailureKind, phase: str) -> None:
    run = started(nodes=[node("a"), node("b")])
    run.fail("a", "permanent", code="first")
    sent = len(run.sent)
    run.fail("b", kind, code="second")
    assert run.phases["b"] == phase
    assert run.status == "failed"
    assert run.now.error is not None
    assert run.now.error["code"] == "first"
    assert len(run.sent) == sent


def test_a_failing_run_waits_for_evidence_of_what_nobody_knows() -> None:
    run = started(nodes=[node("a"), node("b", resend=True)])
    run.fail("a", "permanent")
    run.doubt("b")
    assert run.phases["b"] == "unconfirmed"
    assert run.status == "unconfirmed"
    run.succeed("b")
    assert run.status == "failed"


def test_a_run_that_cannot_be_stored_ends() -> None:
    run = started(nodes=[node("a"), node("b"), "c"])
    run.fail("b")
    run.abandon()
    assert run.phases == {"a": "failed", "b": "cancelled", "c": "failed"}
    assert run.status == "failed"
    assert run.now.error is not None
    assert run.now.error["code"] == "unstorable"
    assert run.abandon().ignored is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"workspace": "another"},
        {"iteration": 1},
        {"execution_id": "01936f2e-8a00-7c11-9d3b-000000000001"},
        {"node_id": "b"},
    ],
)
def test_news_of_something_else_is_foreign(wrong: dict[str, object]) -> None:
    run = started("a>b", nodes=["a", "b"])
    before = run.now
    decision = run.tell(run.success_of("a").model_copy(update=wrong))
    assert decision.ignored is not None
    assert decision.ignored.foreign
    assert run.now is before


def test_pauses_grow_to_their_limit_and_differ_between_executions() -> None:
    policy = RetryPolicy(backoff_seconds=2, max_backoff_seconds=300)
    for failed in range(1, 2_000, 7):
        whole = min(2 * 2.0 ** min(failed - 1, 60), 300)
        for seed in ("x.1", "y.1"):
            assert whole / 2 <= backoff_seconds(policy, failed, seed) <= whole
    drawn = {backoff_seconds(policy, 3, f"{number}.3") for number in range(500)}
    assert len(drawn) == 500
    assert max(drawn) - min(drawn) > 3.5
    assert backoff_seconds(policy, 3, "x.3") == backoff_seconds(policy, 3, "x.3")


def test_a_throttle_is_never_cut_short() -> None:
    waits = [throttle_seconds(60, f"{number}") for number in range(500)]
    assert min(waits) >= 60
    assert max(waits) <= 66


def test_every_phase_has_its_row_and_final_ones_accept_nothing() -> None:
    after_the_end = {"record", "reopen"}
    assert {
        phase for phase, moves in TRANSITIONS.items() if set(moves.values()) <= after_the_end
    } == FINAL
