"""Folding `decide` over the events of one run: what shall be written and sent. No I/O."""

from collections.abc import Sequence
from datetime import datetime
from time import time_ns
from typing import NamedTuple

from mirsal_contracts.commands import RunNode
from mirsal_contracts.controls import (
    CancelRun,
    ForgetRun,
    ReplayLetter,
    ResolveExecution,
    RetryRun,
)
from mirsal_contracts.leads import CONFIG, SEALED
from mirsal_contracts.message import Envelope
from mirsal_contracts.nodes import NODE_TYPES
from mirsal_contracts.requests import RunRequested
from mirsal_contracts.timers import TimerFired
from mirsal_contracts.topics import COMMANDS
from mirsal_runtime.broker import MAX_MESSAGE_BYTES, Outgoing, size_of
from mirsal_runtime.telemetry import is_traceparent, new_traceparent

from orchestrator.decide import (
    EMPTY_PLAN,
    Abandoned,
    Cancelled,
    Command,
    Decision,
    Erased,
    Event,
    ExecutionRow,
    GraphRefused,
    Plan,
    Reported,
    Requested,
    Resolved,
    Retried,
    Rules,
    RunRequest,
    RunState,
    Woken,
    decide,
)
from orchestrator.decide.state import OUTSTANDING, Seal
from orchestrator.decide.storable import COMMAND_BYTES
from orchestrator.intake.cases import Doom
from orchestrator.intake.event_spans import EventSpan, trace_event
from orchestrator.intake.plans import PlanShelf
from orchestrator.intake.records import Arrival
from orchestrator.intake.replays import mark_of, outcome_of, replayed
from orchestrator.store.letters import Mark
from orchestrator.store.runs import RunWrite, StoredRun

SOURCE = "orchestrator"
OVERHEAD_BYTES = 500


class KnownRun(NamedTuple):
    """A run that exists, with its plan; `is_cached` says that the table may know better."""

    stored: StoredRun
    plan: Plan
    is_cached: bool


class Folding(NamedTuple):
    """What the events of one run come to.

    `run` is the run once `write` is done, which is None where the events change nothing.
    `marks` say what became of dead letters that were replayed. `weight` is about what it takes to
    remember it, in bytes of JSON. `steps` are the spans to record once that is so.
    """

    run: StoredRun
    plan: Plan
    write: RunWrite | None
    sends: Sequence[Outgoing]
    foreign: Sequence[Arrival]
    marks: Sequence[Mark]
    has_ignored: bool
    weight: int
    steps: Sequence[EventSpan]


class Fold:
    """One run's events, folded one by one."""

    def __init__(
        self, known: KnownRun | None, at: datetime, rules: Rules, seal: Seal | None = None
    ) -> None:
        self._at = at
        self._start_ns = time_ns()
        self._seal = seal
        self._rules = rules
        self._plan = EMPTY_PLAN if known is None else known.plan
        self._stored = None if known is None else known.stored
        self._request: RunRequest | None = None if known is None else known.stored.request
        self._state: RunState | None = None if known is None else known.stored.state
        self._traceparent = "" if known is None else known.stored.traceparent
        self._has_changed = False
        self._has_ignored = False
        self._rows: dict[str, ExecutionRow] = {}
        self._commands: dict[str, tuple[Command, str]] = {}
        self._foreign: list[Arrival] = []
        self._marks: list[Mark] = []
        self._steps: list[EventSpan] = []

    def add(self, arrival: Arrival, plans: PlanShelf) -> None:
        """Decide upon one event more. Raises `ValueError` when it is of a run not requested."""
        message = arrival.message
        if isinstance(message, RunRequested):
            event = self._requested(message, arrival, plans)
        elif isinstance(message, TimerFired):
            event = Woken(self._at, message.due_at)
        elif isinstance(message, CancelRun):
            event = Cancelled(self._at, message)
        elif isinstance(message, RetryRun):
            event = Retried(self._at, message)
        elif isinstance(message, ResolveExecution):
            event = Resolved(self._at, message)
        elif isinstance(message, ReplayLetter | ForgetRun):
            if arrival.replay is None:
                raise ValueError("a wish of this kind is dealt with before it is decided upon")
            event = replayed(arrival.replay, self._at)
        else:
            event = Reported(self._at, message)
        decision = self._decide(event, arrival)
        if arrival.replay is not None:
            self._marks.append(mark_of(arrival.replay, outcome_of(decision, arrival.replay)))
        elif decision.ignored is not None and decision.ignored.foreign:
            self._foreign.append(arrival)

    def abandon(self, doom: Doom) -> None:
        """End the run, or make it as one that has ended."""
        if self._request is None:
            self._request, self._traceparent = doom.request, doom.traceparent
        self._decide(Abandoned(self._at, doom.fault), None)

    def forget(self, arrivals: Sequence[Arrival]) -> None:
        """The run's lead was erased: end it, or make it as one that has ended, and keep nothing of
        the lead. Of `arrivals`, which come to nothing then, its request may be the first."""
        first = arrivals[0]
        if self._request is None and isinstance(first.message, RunRequested):
            self._request = RunRequest.of(first.message)
            self._take_trace(first)
        self._marks += [mark_of(each.replay, "failed") for each in arrivals if each.replay]
        if self._request is None:
            raise ValueError("a run begins with its request")
        told = next((each for each in arrivals if isinstance(each.message, ForgetRun)), None)
        if told is None and isinstance(first.message, RunRequested):
            told = first
        if self._request.is_erased and self._state is not None:
            self._has_ignored = True
            self._note(Erased(self._at), told, Decision(self._state))
            return
        self._request = self._request.forget()
        self._decide(Erased(self._at), told)

    def conclude(self) -> Folding:
        """All that has to be written and sent."""
        if self._request is None or self._state is None:
            raise ValueError("nothing was decided")
        write, stored = None, self._stored
        state_json = self._state.to_json().decode() if self._has_changed else ""
        if stored is None:
            request_json = self._request.to_json().decode()
            revision, request_bytes = 0, len(request_json)
        else:
            request_json = None
            revision, request_bytes = stored.revision, stored.request_bytes
        run = StoredRun(self._request, self._state, revision, self._traceparent, request_bytes)
        if self._has_changed:
            forgets = self._request.is_erased and stored is not None
            rows = tuple(self._rows.values())
            write = RunWrite(run, request_json, state_json, rows, forgets)
            run = StoredRun(
                self._request, self._state, revision + 1, self._traceparent, request_bytes
            )
        weight = run.request_bytes + len(state_json) + OVERHEAD_BYTES
        return Folding(
            run,
            self._plan,
            write,
            self._sends(),
            self._foreign,
            self._marks,
            self._has_ignored,
            weight,
            self._steps,
        )

    def _requested(self, message: RunRequested, arrival: Arrival, plans: PlanShelf) -> Event:
        if self._request is not None:
            return Requested(self._at)
        self._request = RunRequest.of(message)._replace(seal=self._seal, cover=arrival.cover)
        self._take_trace(arrival)
        try:
            self._plan = plans.take(message)
        except GraphRefused as error:
            return Abandoned(self._at, {"code": "invalid_workflow", "message": str(error)})
        return Requested(self._at)

    def _take_trace(self, arrival: Arrival) -> None:
        parent = arrival.traceparent
        self._traceparent = parent if is_traceparent(parent) else new_traceparent()

    def _decide(self, event: Event, arrival: Arrival | None) -> Decision:
        request = self._request
        if request is None:
            raise ValueError("a run begins with its request")
        decision = decide(request, self._state, event, self._plan, self._rules)
        traceparent = self._note(event, arrival, decision)
        if decision.ignored is None:
            self._has_changed = True
            self._state = decision.state
            for row in decision.rows:
                earlier = self._rows.get(row.node_id)
                self._rows[row.node_id] = (
                    row
                    if earlier is None
                    else row._replace(
                        created_at=earlier.created_at, is_late=row.is_late and earlier.is_late
                    )
                )
        else:
            self._has_ignored = True
        for command in decision.commands:
            self._commands[command.message.node_id] = (command, traceparent)
        return decision

    def _note(self, event: Event, arrival: Arrival | None, decision: Decision) -> str:
        """Have the event told, if its trace is recorded; the context to go on with."""
        step = trace_event(event, arrival, self._traceparent, decision, self._start_ns)
        if isinstance(step, str):
            return step
        self._steps.append(step)
        return step.context

    def _sends(self) -> list[Outgoing]:
        """The commands that are still outstanding after the last event."""
        nodes = {} if self._state is None else self._state.nodes
        return [
            _outgoing(command, traceparent, self._at, self._request)
            for node_id, (command, traceparent) in self._commands.items()
            if nodes[node_id].phase in OUTSTANDING
        ]


def _outgoing(
    command: Command, traceparent: str, at: datetime, request: RunRequest | None
) -> Outgoing:
    message, value = command.message, command.value
    if command.is_personal and request is not None and request.seal is not None:
        sealed = request.seal.seal(command.value, CONFIG, message.command_id)
        value = message.model_copy(update={"config": {SEALED: sealed}}).to_json()
    envelope = Envelope(
        id=message.command_id,
        type=RunNode.TYPE,
        source=SOURCE,
        subject=message.run_id,
        workspace=message.workspace,
        time=at.isoformat(),
        traceparent=traceparent,
        execution_id=message.execution_id,
        command_id=message.command_id,
        workflow_id=message.workflow_id,
        node_id=message.node_id,
        connector=message.connector,
    )
    topic = COMMANDS[message.connector].name
    key = NODE_TYPES[message.connector].command_key(message.config, message.run_id)
    sent = Outgoing(topic, key, value, envelope.to_headers())
    if len(value) > COMMAND_BYTES // 2 and size_of(sent) > MAX_MESSAGE_BYTES:
        raise ValueError("the command is larger than its topic takes")
    return sent
