"""One decision under way: what it reads, and what it has decided so far."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Literal, NamedTuple, TypeAlias

from mirsal_contracts.commands import RunNode
from mirsal_contracts.ids import command_id_of
from mirsal_contracts.message import JsonObject

from orchestrator.decide.events import Event
from orchestrator.decide.plan import Plan, Step
from orchestrator.decide.rendering import CommandRefused, render_config
from orchestrator.decide.retry import SILENT_SECONDS
from orchestrator.decide.state import (
    OUTSTANDING,
    NodeState,
    Phase,
    RunRequest,
    RunState,
    RunStatus,
)
from orchestrator.decide.storable import (
    COMMAND_BYTES,
    SEALED_BYTES,
    holds_null_character,
    write_json,
)

ExecutionStatus: TypeAlias = Literal[
    "queued", "retrying", "waiting", "unconfirmed", "succeeded", "failed", "skipped", "cancelled"
]
_MICROSECOND = timedelta(microseconds=1)


class Rules(NamedTuple):
    """The times that a decision works with."""

    command_seconds: float = 600
    silent_seconds: tuple[float, ...] = SILENT_SECONDS


class Command(NamedTuple):
    """A message to a connector, and its value as it goes to Kafka.

    Where `is_personal`, the config holds something of a sealed lead's, and has to be sealed before
    it goes there.
    """

    message: RunNode
    value: bytes
    is_personal: bool = False


class ExecutionRow(NamedTuple):
    """A row of `execution_logs` as it shall be; `created_at` counts only for a new one.

    `is_late`: its status was reached, and counted, before.
    """

    execution_id: str
    node_id: str
    connector_type: str
    status: ExecutionStatus
    attempt: int
    retry_count: int
    max_retries: int
    start_time: datetime | None
    end_time: datetime | None
    duration_ms: int | None
    error: JsonObject | None
    output: JsonObject | None
    created_at: datetime
    is_late: bool = False


class Ignored(NamedTuple):
    """Why an event changed nothing. A `foreign` one should never have come to this run."""

    reason: str
    foreign: bool = False


class Decision(NamedTuple):
    """What follows from an event.

    Where it is `ignored`, `state` is the old one, and `commands` are those that the event had
    sent before.
    """

    state: RunState
    commands: tuple[Command, ...] = ()
    rows: tuple[ExecutionRow, ...] = ()
    ignored: Ignored | None = None


class Turn:
    """Gathers a decision. The state that it began with is never changed."""

    def __init__(
        self, request: RunRequest, plan: Plan, state: RunState | None, event: Event, rules: Rules
    ) -> None:
        self.request = request
        self.plan = plan
        self.event = event
        self.at = event.at
        self.rules = rules
        self.nodes: dict[str, NodeState] = dict(state.nodes) if state else {}
        self.error = state.error if state else None
        self.is_cancelled = state.is_cancelled if state else False
        self.controls = state.controls if state else ()
        self._stamp = state.stamp if state else event.at
        self._commands: dict[str, Command] = {}
        self._rows: dict[str, ExecutionRow] = {}
        self._candidates: list[tuple[int, str]] = []

    @property
    def is_failing(self) -> bool:
        """Whether a node has failed, or the run is cancelled: no new attempt starts."""
        return self.error is not None

    def put(
        self,
        step: Step,
        node: NodeState,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        error: JsonObject | None = None,
        is_late: bool = False,
    ) -> None:
        """Give a node its new state, and its execution the row that shows it."""
        self._rows[step.id] = ExecutionRow(
            self.request.execution_id_of(step.id),
            step.id,
            step.type,
            STATUSES[node.phase],
            node.attempt,
            node.retries,
            step.max_retries,
            start,
            end,
            None if start is None or end is None else max(0, _milliseconds(end - start)),
            error or node.error,
            node.output,
            self._creation_time(step.id),
            is_late,
        )
        self.nodes[step.id] = node
        if node.is_final:
            self.consider(*step.targets)

    def consider(self, *node_ids: str) -> None:
        """Have these nodes looked at: what they wait for may be decided now."""
        for node_id in node_ids:
            heappush(self._candidates, (self.plan.steps[node_id].position, node_id))

    def take_candidates(self) -> Iterator[Step]:
        """The nodes to look at, in the plan's order; more may be added meanwhile."""
        while self._candidates:
            _, node_id = heappop(self._candidates)
            if node_id not in self.nodes:
                yield self.plan.steps[node_id]

    def send(self, step: Step, attempt: int) -> None:
        """Send the command of an attempt. Raises `CommandRefused` where it cannot be made."""
        execution_id = self.request.execution_id_of(step.id)
        config = render_config(step, self.request, self.nodes)
        message = RunNode(
            workspace=self.request.workspace,
            run_id=self.request.run_id,
            execution_id=execution_id,
            command_id=command_id_of(execution_id, attempt),
            workflow_id=self.request.workflow_id,
            node_id=step.id,
            attempt=attempt,
            connector=step.type,
            lead_id=self.request.lead_id,
            config=config,
            timeout_seconds=step.timeout_seconds,
            deadline=self.after(self.rules.command_seconds),
        )
        is_personal = self.request.seal is not None and (
            not self.request.version or config != step.config
        )
        value = write_json(config) if is_personal else message.to_json()
        if len(value) > (SEALED_BYTES if is_personal else COMMAND_BYTES):
            raise CommandRefused(
                "config_too_large",
                f"with its values filled in, the config makes a message of {len(value)} bytes; "
                f"{SEALED_BYTES if is_personal else COMMAND_BYTES} are allowed: render less",
            )
        if holds_null_character(config, value):
            raise CommandRefused(
                "null_character",
                "the config holds the character U+0000, which cannot be stored or sent: remove it",
            )
        self._commands[step.id] = Command(message, value, is_personal)

    def send_again(self, *, whatever_the_cause: bool) -> None:
        """Send what is outstanding once more, as it was: all of it, or what this event sent."""
        for node_id, node in self.nodes.items():
            if (
                node.phase in OUTSTANDING
                and node_id not in self._commands
                and (whatever_the_cause or node.cause == self.event.key)
            ):
                self.repeat(self.plan.steps[node_id], node.attempt)

    def repeat(self, step: Step, attempt: int) -> None:
        """Send the command of an attempt once more.

        That it was possible once and is no longer, a newer release of ours has done: then the
        attempt is silent, since the first command may yet be answered.
        """
        with suppress(CommandRefused):
            self.send(step, attempt)

    def after(self, seconds: float) -> datetime:
        """The time so many seconds from the event's."""
        return self.at + timedelta(seconds=seconds)

    def conclude(self) -> Decision:
        """The decision, with the run's status as its nodes make it."""
        state = RunState(
            self._run_status(),
            self.nodes,
            self._stamp,
            self.error,
            self.is_cancelled,
            self.controls,
        )
        return Decision(state, tuple(self._commands.values()), tuple(self._rows.values()))

    def ignore(self, state: RunState, reason: str, *, foreign: bool = False) -> Decision:
        """The decision that changes nothing."""
        return Decision(state, tuple(self._commands.values()), ignored=Ignored(reason, foreign))

    def _run_status(self) -> RunStatus:
        phases: set[Phase] = {node.phase for node in self.nodes.values()}
        if "queued" in phases:
            return "running"
        if "retrying" in phases:
            return "waiting"
        if "parked" in phases or "silent" in phases:
            return "paused"
        if "unconfirmed" in phases:
            return "unconfirmed"
        if self.is_cancelled:
            return "cancelled"
        return "failed" if self.error else "succeeded"

    def _creation_time(self, node_id: str) -> datetime:
        if node_id in self._rows:
            return self._rows[node_id].created_at
        if node_id not in self.nodes:
            self._stamp = max(self.at, self._stamp + _MICROSECOND)
        return self._stamp


STATUSES: Mapping[Phase, ExecutionStatus] = {
    "queued": "queued",
    "retrying": "retrying",
    "parked": "waiting",
    "silent": "waiting",
    "unconfirmed": "unconfirmed",
    "succeeded": "succeeded",
    "failed": "failed",
    "skipped": "skipped",
    "cancelled": "cancelled",
}


def _milliseconds(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)
