"""A batch's events by run, and the end of a run that cannot go on. No I/O."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from mirsal_contracts.controls import ForgetRun, ReplayLetter, ResolveExecution, RetryRun
from mirsal_contracts.leads import Lead
from mirsal_contracts.message import JsonObject
from mirsal_contracts.requests import RunRequested
from mirsal_contracts.timers import TimerFired
from mirsal_runtime.telemetry import is_traceparent, new_traceparent

from orchestrator.decide import RunRequest
from orchestrator.decide.state import Seal
from orchestrator.intake.records import UUID, Arrival, Unreadable
from orchestrator.store.runs import StoredRun

_RESUMING = frozenset({RetryRun, ResolveExecution, ReplayLetter, TimerFired})
_REASONS = {
    "unstorable": "what the run came to cannot be stored",
    "internal_error": "what the run does next could not be decided, which is a fault of Mirsal's",
    "lead_unreadable": "what is sealed of its lead does not open: see that the orchestrators have "
    "the key-encryption keys, then replay the letter",
    "unreadable_request": "the request for the run could not be read",
}


class Doom(NamedTuple):
    """Why a run ends here. `request` serves where the run does not exist yet."""

    fault: JsonObject
    request: RunRequest
    traceparent: str


@dataclass(slots=True)
class Case:
    """One run of a batch. `must_load`: the memory of it was wrong, or might be."""

    run_id: str
    arrivals: list[Arrival] = field(default_factory=list)
    doom: Doom | None = None
    must_load: bool = False
    is_hopeless: bool = False
    """Not even its end can be written."""
    seal: Seal | None = None
    """The key of its lead, if that is sealed."""
    is_erased: bool = False
    """Its lead is gone: the run ends, whatever else its events say."""

    @property
    def is_unreadable(self) -> bool:
        """Whether all that is had of the run is a request that nobody can read."""
        return not self.arrivals

    @property
    def is_resumed(self) -> bool:
        """Whether its events may have it send something once more, or later than it would."""
        return any(each.replay or type(each.message) in _RESUMING for each in self.arrivals)

    @property
    def may_be_new(self) -> bool:
        """Whether the run's own request is among its events."""
        return self.doom is not None or self.begins_run

    @property
    def begins_run(self) -> bool:
        """Whether the run began with these events, now or when they came first."""
        return not self.arrivals or isinstance(self.arrivals[0].message, RunRequested)

    def condemn(self, code: str, detail: str, run: StoredRun | None, at: datetime) -> None:
        """The run must end, for this reason, and its events with it."""
        fault: JsonObject = {"code": code, "message": f"{_REASONS[code]}: {detail}"}
        if run is not None:
            self.doom = Doom(fault, run.request, run.traceparent)
            return
        first = self.arrivals[0]
        message = first.message
        workflow_id, version, lead_id = "", 0, ""
        if isinstance(message, RunRequested):
            workflow_id, version, lead_id = message.workflow_id, message.version, message.lead.id
        self.doom = _doom(
            fault, message.workspace, self.run_id, workflow_id, version, lead_id, at,
            first.traceparent,
        )  # fmt: skip


def sort_by_run(arrivals: Iterable[Arrival]) -> dict[str, Case]:
    """The events of each run, in the order that they must be had in."""
    cases: dict[str, Case] = {}
    for arrival in sorted(arrivals, key=_rank):
        case = cases.get(arrival.run_id)
        if case is None:
            case = cases[arrival.run_id] = Case(arrival.run_id)
        case.arrivals.append(arrival)
        case.is_erased |= isinstance(arrival.message, ForgetRun)
    return cases


def case_of_unreadable(unreadable: Unreadable, at: datetime) -> Case | None:
    """The failed run that a request which nobody can read makes, if its headers say whose it is.

    So what got a 202 has an end that its caller can see.
    """
    envelope = unreadable.envelope
    if not unreadable.is_request or not UUID.fullmatch(envelope.subject) or not envelope.workspace:
        return None
    fault: JsonObject = {
        "code": "unreadable_request",
        "message": f"{_REASONS['unreadable_request']}: {unreadable.reason}",
    }
    doom = _doom(
        fault, envelope.workspace, envelope.subject, envelope.workflow_id, 0, "", at,
        envelope.traceparent,
    )  # fmt: skip
    return Case(envelope.subject, doom=doom)


def _doom(
    fault: JsonObject,
    workspace: str,
    run_id: str,
    workflow_id: str,
    version: int,
    lead_id: str,
    at: datetime,
    traceparent: str,
) -> Doom:
    workspace, workflow_id, lead_id = (
        text.replace("\x00", "\ufffd") for text in (workspace, workflow_id, lead_id)
    )
    lead = Lead(id=lead_id).model_dump(mode="json", by_alias=True)
    return Doom(
        fault,
        RunRequest(workspace, run_id, workflow_id, version, lead_id, at, lead, {}),
        traceparent if is_traceparent(traceparent) else new_traceparent(),
    )


def _rank(arrival: Arrival) -> int:
    return arrival.rank
