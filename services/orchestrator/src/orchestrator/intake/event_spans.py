"""The span of one event of a run: in the run's trace, recorded once what it led to is written."""

import time
from collections.abc import Iterator
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

from orchestrator.decide import Decision, Event, Reported, Requested, RunRequest, Woken
from orchestrator.intake.records import Arrival
from orchestrator.intake.resting import RESTING

_REQUEST, _STATUS, _TIMER = (
    (f"process {topic.name}", messaging("process", topic.name))
    for topic in (EXECUTIONS_REQUESTED_V1, NODE_STATUSES_V1, RUN_TIMERS_V1)
)
STARTED = "run.started"


def trace_event(event: Event, arrival: Arrival | None, run: str) -> "EventSpan | str":
    """The span of an event that arrived, or the context to go on with where none is recorded.

    `run` is the context that its run began with: what came in another trace, a person's wish say,
    is linked to. Of a trace that is not sampled all is recorded from its first failure on.
    """
    given = "" if arrival is None else arrival.traceparent
    parent = given if given[:35] == run[:35] else run
    if not telemetry.is_tracing():
        return parent
    if not is_sampled(parent):
        if not isinstance(event, Reported) or isinstance(event.status, NodeSucceeded):
            return parent
        parent = sampled(parent)
    links = (given,) if parent[:35] != given[:35] and telemetry.is_traceparent(given) else ()
    return EventSpan(telemetry.child_traceparent(parent), parent, event, time.time_ns(), links)


class EventSpan(NamedTuple):
    """One event's span, to be recorded once it is known what came of it."""

    context: str
    parent: str
    event: Event
    start_ns: int
    links: tuple[str, ...]
    decision: Decision | None = None

    def record(self, request: RunRequest, batch: str, *, is_new: bool) -> None:
        """Record it: what it led to is written. `batch` is the span that read and wrote it."""
        decision, event = self.decision, self.event
        if decision is None:
            return
        about = {
            WORKSPACE: request.workspace,
            RUN: request.run_id,
            WORKFLOW: request.workflow_id,
            LEAD: telemetry.pseudonyms.of_lead(request.workspace, request.lead_id),
        }
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
        if decision.ignored is None and (state.is_final or state.status in RESTING):
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
        if is_new or isinstance(event, Requested):
            # Of no length, so that a run shows while it is under way. A request that comes again
            # may be all that is left of a process that was killed after it had written the run.
            telemetry.note_span(
                STARTED,
                context=named_context(self.context, request.run_id),
                parent=self.context,
                attributes=about,
            )

    def _earlier_attempts(self, decision: Decision) -> Iterator[str]:
        """The attempts that those asked for now come after."""
        for command in decision.commands:
            message = command.message
            if message.attempt > 1:
                earlier = command_id_of(message.execution_id, message.attempt - 1)
                yield attempt_context(self.context, earlier)


def _outcome_of(event: Reported) -> str:
    status = event.status
    if isinstance(status, NodeSucceeded):
        return "succeeded"
    return status.kind if isinstance(status, NodeFailed) else "unconfirmed"
