"""The laws that `decide` keeps for every graph and every order of events."""

from datetime import timedelta
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from mirsal_contracts.controls import CancelRun, RetryRun, Verdict
from mirsal_contracts.leads import Consent
from mirsal_contracts.statuses import UNREADABLE_COMMAND, FailureKind
from mirsal_contracts.workflows import Graph, Node, RetryPolicy
from orchestrator.decide import (
    Cancelled,
    Decision,
    Event,
    Replayed,
    Reported,
    Requested,
    Resolved,
    Retried,
    RunState,
    Woken,
    decide,
)
from orchestrator.decide.state import FINAL, OUTSTANDING
from orchestrator.rehearsal import LEAD, Rehearsal, draw

KINDS = st.sampled_from(get_args(FailureKind))


@st.composite
def graphs(take: st.DrawFn) -> Graph:
    """Acyclic graphs of up to six nodes of every kind."""
    count = take(st.integers(1, 6))
    nodes = [take(nodes_named(f"n{number}")) for number in range(count)]
    connections = []
    for target in range(1, count):
        for source in take(st.sets(st.integers(0, target - 1), max_size=3)):
            when = take(st.sampled_from(["", ":true", ":false"]))
            connections.append(
                f"n{source}>n{target}{when if nodes[source].type == 'condition' else ''}"
            )
    return draw(nodes, *connections)


def nodes_named(node_id: str) -> st.SearchStrategy[Node]:
    """Nodes that work, that fail at once, that skip, and conditions of either outcome."""
    policy = RetryPolicy(attempts=2, backoff_seconds=5)
    configs: dict[str, list[dict[str, Any]]] = {
        "noop": [{}, {"value": "{{lead.name}}"}, {"value": "{{lead.fields.nothing}}"}],
        "whatsapp": [{"text": "hi {{lead.name}}"}],
        "email": [{"subject": "s", "body": "b"}],
        "condition": [{"if": "true"}, {"if": "false"}],
    }
    return st.sampled_from([(kind, each) for kind in configs for each in configs[kind]]).flatmap(
        lambda chosen: st.builds(
            Node,
            id=st.just(node_id),
            type=st.just(chosen[0]),
            config=st.just(chosen[1]),
            retry=st.just(policy),
            on_unconfirmed=st.sampled_from(["park", "resend"]),
        )
    )


def report(run: Rehearsal, node_id: str, kind: Any, attempt: int | None = None) -> Reported:
    """A status of this kind."""
    if kind == "success":
        return Reported(run.at, run.success_of(node_id, attempt=attempt))
    if kind == "unconfirmed":
        return Reported(run.at, run.doubt_of(node_id, attempt=attempt))
    return Reported(run.at, run.failure_of(node_id, kind, attempt=attempt))


class RunMachine(RuleBasedStateMachine):
    """Any events in any order, each possibly twice, reversed or late."""

    events = Bundle("events")

    @initialize(graph=graphs(), consents=st.booleans())
    def begin(self, graph: Graph, consents: bool) -> None:
        lead = LEAD.model_copy(update={"consent": Consent(email=consents)})
        self.run = Rehearsal(graph, lead=lead)
        self.history: list[Event] = []
        self.finals: dict[str, str] = {}
        self.finished = False
        self.sends: dict[str, set[int]] = {}
        self.controls = 0
        self.happen(Requested(self.run.at))

    def happen(self, event: Event) -> None:
        """One event, with what must hold of every decision."""
        before = self.run.state
        written = None if before is None else before.to_json()
        decision = self.run.happen(event)
        self.history.append(event)
        self.check_attempts(before, decision, event)
        if (
            isinstance(event, Retried | Replayed)
            and before is not None
            and before.status != self.run.status
        ):
            self.finals, self.finished = {}, False
        if isinstance(event, Cancelled) and decision.ignored is None:
            assert self.run.now.is_final
        if before is not None:
            assert before.to_json() == written, "the old state was changed"
        if decision.ignored is not None:
            assert decision.state is before
            assert not decision.rows
        for command in decision.commands:
            node = decision.state.nodes[command.message.node_id]
            assert node.phase in OUTSTANDING
            assert node.attempt == command.message.attempt
        changed = {row.node_id for row in decision.rows}
        assert all(self.run.now.nodes[node_id].phase for node_id in changed)

    def check_attempts(self, before: RunState | None, decision: Decision, event: Event) -> None:
        """A new attempt follows only on what says that the last one was not sent, or on a person's
        word that it be sent again."""
        for command in decision.commands:
            node_id, attempt = command.message.node_id, command.message.attempt
            sent = self.sends.setdefault(node_id, set())
            if attempt in sent or not sent:
                sent.add(attempt)
                continue
            sent.add(attempt)
            was = before.nodes[node_id] if before is not None else None
            assert was is not None
            resent = isinstance(event, Resolved) and event.message.verdict == "resend"
            if was.phase in ("queued", "silent", "unconfirmed"):
                assert resent or isinstance(event, Reported)
            assert was.late not in ("awaited", "unconfirmed", "success")

    @rule(target=events, kind=st.sampled_from([Cancelled, Retried]))
    def a_person_wants_something(self, kind: Any) -> Any:
        self.controls += 1
        message = (CancelRun if kind is Cancelled else RetryRun)(
            workspace="w",
            run_id=self.run.asked.run_id,
            control_id=f"control-{self.controls}",
            requested_by="sara",
            requested_at=self.run.at,
        )
        return kind(self.run.at, message)

    @precondition(lambda self: self.run.now.nodes)
    @rule(target=events, data=st.data(), verdict=st.sampled_from(get_args(Verdict)))
    def a_person_decides(self, data: st.DataObject, verdict: Verdict) -> Any:
        self.controls += 1
        resting = sorted(
            node_id
            for node_id, node in self.run.now.nodes.items()
            if node.phase in ("unconfirmed", "parked", "silent")
        )
        node_id = data.draw(st.sampled_from(resting or sorted(self.run.now.nodes)))
        control_id = f"control-{self.controls}"
        return Resolved(self.run.at, self.run.resolution(node_id, verdict, control_id))

    @precondition(lambda self: self.run.now.nodes)
    @rule(target=events, data=st.data())
    def a_dead_command_is_replayed(self, data: st.DataObject) -> Any:
        self.controls += 1
        node_id = data.draw(st.sampled_from(sorted(self.run.now.nodes)))
        attempt = data.draw(st.integers(0, self.run.now.nodes[node_id].attempt))
        return self.run.wish_for(node_id, f"control-{self.controls}", attempt=attempt)

    @precondition(lambda self: self.run.now.nodes)
    @rule(target=events, data=st.data())
    def a_command_cannot_be_read(self, data: st.DataObject) -> Any:
        sent = [node_id for node_id, node in self.run.now.nodes.items() if node.attempt]
        if not sent:
            return multiple()
        node_id = data.draw(st.sampled_from(sorted(sent)))
        status = self.run.failure_of(node_id, "permanent", code=UNREADABLE_COMMAND)
        return Reported(self.run.at, status)

    @precondition(lambda self: self.run.now.nodes)
    @rule(target=events, data=st.data())
    def a_status_is_on_its_way(self, data: st.DataObject) -> Any:
        node_id = data.draw(st.sampled_from(sorted(self.run.now.nodes)))
        node = self.run.now.nodes[node_id]
        if node.attempt == 0:
            return multiple()
        attempt = data.draw(st.integers(1, node.attempt))
        kind = data.draw(st.sampled_from(["success", "unconfirmed"]) | KINDS)
        return report(self.run, node_id, kind, attempt)

    @rule(event=events)
    def it_arrives_and_will_again(self, event: Event) -> None:
        self.happen(event._replace(at=self.later()))

    @rule(event=events)
    def it_arrives_twice(self, event: Event) -> None:
        self.happen(event._replace(at=self.later()))
        before = self.run.now
        self.happen(event._replace(at=self.later()))
        assert self.run.now is before

    @rule(event=consumes(events))
    def it_arrives(self, event: Event) -> None:
        self.happen(event._replace(at=self.later()))

    @rule()
    def the_request_is_redelivered(self) -> None:
        before = self.run.now
        self.happen(Requested(self.later()))
        assert self.run.now is before

    @precondition(lambda self: self.run.now.wake_at is not None)
    @rule(early=st.booleans())
    def time_passes(self, early: bool) -> None:
        due_at = self.run.now.wake_at
        assert due_at is not None
        if early:
            self.happen(Woken(self.later(), due_at - timedelta(hours=1)))
        else:
            self.run.at = max(self.run.at, due_at)
            self.happen(Woken(self.run.at, due_at))

    def later(self) -> Any:
        self.run.at += timedelta(milliseconds=1)
        return self.run.at

    @invariant()
    def something_is_outstanding_or_it_rests_or_is_over(self) -> None:
        state = self.run.now
        if state.is_final:
            assert state.wake_at is None
            assert all(node.is_final for node in state.nodes.values())
        elif state.status in ("paused", "unconfirmed"):
            assert state.wake_at is None
            assert state.reason is not None
        else:
            assert state.wake_at is not None

    @invariant()
    def every_outstanding_command_and_pause_has_its_time(self) -> None:
        for node in self.run.now.nodes.values():
            assert (node.due is not None) == (node.phase in ("queued", "retrying"))

    @invariant()
    def final_is_final(self) -> None:
        state = self.run.now
        assert not (self.finished and not state.is_final)
        self.finished = state.is_final
        for node_id, phase in self.finals.items():
            assert state.nodes[node_id].phase == phase
        self.finals = {
            node_id: node.phase for node_id, node in state.nodes.items() if node.phase in FINAL
        }

    @invariant()
    def what_succeeded_left_nothing_out(self) -> None:
        if self.run.status == "succeeded":
            assert set(self.run.now.nodes) == set(self.run.plan.steps)

    @invariant()
    def the_state_is_what_is_stored(self) -> None:
        assert RunState.from_json(self.run.now.to_json()) == self.run.now

    @invariant()
    def rows_show_the_nodes(self) -> None:
        assert set(self.run.rows) == set(self.run.now.nodes)
        for node_id, row in self.run.rows.items():
            node = self.run.now.nodes[node_id]
            shown = {"parked": "waiting", "silent": "waiting"}.get(node.phase, node.phase)
            assert row.status == shown
            assert row.retry_count == node.retries <= row.max_retries
            assert (row.attempt, row.output) == (node.attempt, node.output)

    @invariant()
    def no_node_runs_before_those_it_waits_for(self) -> None:
        for step in self.run.plan.steps.values():
            if step.id in self.run.now.nodes:
                for connection in step.incoming:
                    assert self.run.now.nodes[connection.source].is_final

    def teardown(self) -> None:
        """Replaying the log gives the same state."""
        state: RunState | None = None
        for event in getattr(self, "history", ()):
            state = decide(self.run.asked, state, event, self.run.plan).state
            state = RunState.from_json(state.to_json())
        if state is not None:
            assert state == self.run.now


RunMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestRunMachine = RunMachine.TestCase


@settings(deadline=None, max_examples=150)
@given(graph=graphs(), data=st.data())
def test_a_redelivered_event_sends_what_it_had_sent_and_changes_nothing(
    graph: Graph, data: st.DataObject
) -> None:
    run = Rehearsal(graph)
    decision = run.request()
    event: Event = Requested(run.at)
    for _ in range(6):
        commands = {command.message.command_id: command for command in decision.commands}
        before = run.now
        again = run.happen(event)
        assert again.ignored is not None or isinstance(event, Woken)
        assert again.state == before
        sent = {command.message.command_id: command for command in again.commands}
        assert set(sent) >= set(commands)
        for command_id, command in commands.items():
            assert sent[command_id].message.config == command.message.config
        waiting = sorted(n for n, node in run.now.nodes.items() if node.phase == "queued")
        if waiting:
            kind = data.draw(st.just("success") | KINDS)
            event = report(run, data.draw(st.sampled_from(waiting)), kind)
        elif run.now.wake_at is not None:
            run.at = max(run.at, run.now.wake_at)
            event = Woken(run.at, run.now.wake_at)
        else:
            return
        decision = run.happen(event)


@settings(deadline=None, max_examples=150)
@given(graph=graphs(), data=st.data())
def test_the_order_of_independent_branches_does_not_matter(
    graph: Graph, data: st.DataObject
) -> None:
    """With every attempt a success: a failure stops what has not started, so there it does."""
    one, other = Rehearsal(graph), Rehearsal(graph)
    outcomes = []
    for run in (one, other):
        run.request()
        while waiting := sorted(n for n, node in run.now.nodes.items() if node.phase == "queued"):
            node_id = data.draw(st.sampled_from(waiting))
            run.succeed(node_id, {"from": node_id})
        outcomes.append(
            (
                run.status,
                {node_id: node._replace(cause="") for node_id, node in run.now.nodes.items()},
                sorted((each.command_id, str(each.config)) for each in run.sent),
            )
        )
    if one.now.error is None and other.now.error is None:
        assert outcomes[0] == outcomes[1]
    else:
        assert outcomes[0][0] == outcomes[1][0] == "failed"
