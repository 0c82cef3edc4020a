"""The span of one event of a run: in the run's trace, recorded once what it led to is written."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from mirsal_contracts.ids import command_id_of
from mirsal_contracts.statuses import NodeFailed, NodeSucceeded
from mirsal_contracts.topics import EXECUTIONS_REQUESTED_V1, NODE_STATUSES_V1, RUN_TIMERS_V1
from mirsal_runtime import telemetry
from mirsal_runtime.span_attributes import (
    ATTEMPT,
    CONNECTOR,
    EXECUTION,
    LEAD,
    NODE,
    OUTCOME,
    RUN,
    RUN_STATUS,
    WORKFLOW,
    WORKSPACE,
    messaging,
)
from mirsal_runtime.trace_context import attempt_context, is_sampled, named_context, sampled

from orchestrator.decide import Decision, Event, Reported, RunRequest, RunState, Woken
from orchestrator.intake.records import Arrival
from orchestrator.intake.resting import RESTING

_REQUEST, _STATUS, _TIMER = (
    (f"process {topic.name}", messaging("process", topic.name))
    for topic in (EXECUTIONS_REQUESTED_V1, NODE_STATUSES_V1, RUN_TIMERS_V1)
)
STARTED = "run.started"
_STUMBLED = frozenset({"retrying", "parked", "unconfirmed"})


def trace_event(
    event: Event, arrival: Arrival | None, run: str, decision: Decision, start_ns: int
) -> "EventSpan | str":
    """The span of an event that arrived, or the context to go on with where none is recorded.

    `run` is the context that its run began with: what came in another trace, a person's wish say,
    is linked to. Of a trace that is not sampled all is recorded from its first failure on, below
    a `run.started` that is told then, under the id that all had for their parent so far.
    """
    given = "" if arrival is None else arrival.traceparent
    parent = given if given[:35] == run[:35] else run
    if not telemetry.is_tracing():
        return parent
    root = ""
    if not is_sampled(run):
        if not is_sampled(parent) and not _has_stumbled(event, decision.state):
            return parent
        parent, root = sampled(parent), sampled(run)
    is_elsewhere = parent[:35] != given[:35] and telemetry.is_traceparent(given)
    links = (given,) if is_elsewhere and is_sampled(given) else ()
    context = telemetry.child_traceparent(parent)
    return EventSpan(context, parent, event, start_ns, links, decision, root)


def _has_stumbled(event: Event, state: RunState) -> bool:
    """Whether something of the run has failed, so that people may ask for its trace."""
    return (
        _tells_failure(event)
        or state.error is not None
        or any(node.attempt > 1 or node.phase in _STUMBLED for node in state.nodes.values())
    )


def _tells_failure(event: Event) -> bool:
    return isinstance(event, Reported) and not isinstance(event.status, NodeSucceeded)


class EventSpan(NamedTuple):
    """One event's span, to be recorded once what came of it is written.

    `root` is set for a run that was not sampled: all that is told of it lies below.
    """

    context: str
    parent: str
    event: Event
    start_ns: int
    links: tuple[str, ...]
    decision: Decision
    root: str

    def record(self, request: RunRequest, batch: str, *, begins: bool) -> None:
        """Record it: what it led to is written. `batch` is the span that read and wrote it.

        `begins`: with it the run began, now or in a process that was killed before it told so.
        """
        decision, event = self.decision, self.event
        about = _about(request)
        name, attributes = _REQUEST
        error = ""
        if isinstance(event, Woken):
            name, attributes = _TIMER
        elif isinstance(event, Reported):
            name, attributes = _STATUS
            status = event.status
            attributes = {
                **attributes,
                EXECUTION: status.execution_id,
                NODE: status.node_id,
                ATTEMPT: status.attempt,
                CONNECTOR: status.connector,
                OUTCOME: _outcome_of(event),
            }
        state = decision.state
        # Of an event that came again, too: nobody else may be left to tell how the run ended.
        has_come_to_rest = state.is_final or state.status in RESTING
        if has_come_to_rest:
            attributes = {**attributes, RUN_STATUS: state.status}
            if state.status != "succeeded":
                error = state.status
        telemetry.note_span(
            name,
            context=self.context,
            parent=self.parent,
            kind="consumer",
            start_ns=self.start_ns,
            attributes={**attributes, **about},
            links=[*filter(None, (batch,)), *self.links, *self._earlier_attempts(decision)],
            error=error,
        )
        if self.root:
            if has_come_to_rest or _tells_failure(event):
                _tell_start(self.root, "", about, int(request.requested_at.timestamp() * 1e9))
        elif begins:
            # A request that comes again may be all that is left of a process that was killed after
            # it had written the run.
            _tell_start(named_context(self.context, request.run_id), self.context, about)

    def _earlier_attempts(self, decision: Decision) -> Iterator[str]:
        """The attempts that those asked for now come after."""
        for command in decision.commands:
            message = command.message
            if message.attempt > 1:
                earlier = command_id_of(message.execution_id, message.attempt - 1)
                yield attempt_context(self.context, earlier)


def _about(request: RunRequest) -> dict[str, telemetry.SpanValue]:
    return {
        WORKSPACE: request.workspace,
        RUN: request.run_id,
        WORKFLOW: request.workflow_id,
        LEAD: telemetry.pseudonyms.of_lead(request.workspace, request.lead_id),
    }


def _tell_start(
    context: str, parent: str, about: Mapping[str, telemetry.SpanValue], at_ns: int = 0
) -> None:
    """Of no length, so that a run shows while it is under way."""
    telemetry.note_span(
        STARTED, context=context, parent=parent, start_ns=at_ns, end_ns=at_ns, attributes=about
    )


def _outcome_of(event: Reported) -> str:
    status = event.status
    if isinstance(status, NodeSucceeded):
        return "succeeded"
    return status.kind if isinstance(status, NodeFailed) else "unconfirmed"
