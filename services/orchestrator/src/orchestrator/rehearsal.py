"""Plays a run through in memory, event by event and without servers: for tests."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mirsal_contracts.controls import CancelRun, ReplayLetter, ResolveExecution, RetryRun, Verdict
from mirsal_contracts.ids import command_id_of
from mirsal_contracts.leads import Lead
from mirsal_contracts.message import JsonObject
from mirsal_contracts.requests import RunRequested
from mirsal_contracts.statuses import (
    FailureKind,
    Fault,
    NodeFailed,
    NodeSucceeded,
    NodeUnconfirmed,
)
from mirsal_contracts.workflows import Connection, Graph, Node

from orchestrator.decide import (
    Abandoned,
    Cancelled,
    Decision,
    Event,
    ExecutionRow,
    Replayed,
    Reported,
    Requested,
    Resolved,
    Retried,
    Rules,
    RunRequest,
    RunState,
    Woken,
    compile_plan,
    decide,
)

if TYPE_CHECKING:
    from mirsal_contracts.commands import RunNode

RUN_ID = "01936f2e-8a00-7c11-9d3b-5f0c2a417e90"
START = datetime(2026, 11, 22, 12, tzinfo=UTC)
LEAD = Lead(id="lead-1", name="أحمد محمد", email="ahmed@example.com", phone="+201001234567")


def draw(nodes: Iterable[Node | str], *connections: str) -> Graph:
    """A graph in short: `draw(["a", "b"], "a>b", "if>b:true")`; a name alone is a noop node."""
    return Graph(
        nodes=tuple(
            node if isinstance(node, Node) else Node(id=node, type="noop") for node in nodes
        ),
        connections=tuple(map(_connection, connections)),
    )


def _connection(text: str) -> Connection:
    ends, _, when = text.partition(":")
    source, _, target = ends.partition(">")
    return Connection(source=source, target=target, when=when or None)


class Rehearsal:
    """One run. Every call is an event, and returns what was decided upon it."""

    def __init__(
        self,
        graph: Graph,
        *,
        lead: Lead = LEAD,
        given: JsonObject | None = None,
        version: int = 1,
        execution_id: str | None = None,
        rules: Rules | None = None,
    ) -> None:
        message = RunRequested(
            workspace="w",
            run_id=RUN_ID,
            workflow_id="flow",
            version=version,
            graph=graph,
            lead=lead,
            input=given or {},
            execution_id=execution_id,
            requested_at=START,
        )
        self.asked = RunRequest.of(message)
        self.plan = compile_plan(graph)
        self.rules = rules or Rules()
        self.at = START
        self.state: RunState | None = None
        self.sent: list[RunNode] = []
        self.rows: dict[str, ExecutionRow] = {}

    @property
    def now(self) -> RunState:
        """The state, once there is one."""
        if self.state is None:
            raise ValueError("nothing has happened yet")
        return self.state

    @property
    def status(self) -> str:
        """The run's status."""
        return self.now.status

    @property
    def phases(self) -> Mapping[str, str]:
        """Each node's phase."""
        return {node_id: node.phase for node_id, node in self.now.nodes.items()}

    def happen(self, event: Event) -> Decision:
        """Decide upon any event."""
        decision = decide(self.asked, self.state, event, self.plan, self.rules)
        self.state = decision.state
        self.sent += [command.message for command in decision.commands]
        for row in decision.rows:
            earlier = self.rows.get(row.node_id, row)
            self.rows[row.node_id] = row._replace(created_at=earlier.created_at)
        return decision

    def request(self) -> Decision:
        """The gateway asks for the run."""
        return self.happen(Requested(self._tick()))

    def succeed(
        self, node_id: str, output: JsonObject | None = None, *, attempt: int | None = None
    ) -> Decision:
        """A connector tells that it happened."""
        return self.tell(self.success_of(node_id, output, attempt=attempt))

    def fail(
        self,
        node_id: str,
        kind: FailureKind = "transient",
        *,
        attempt: int | None = None,
        retry_after: float | None = None,
        code: str = "broken",
    ) -> Decision:
        """A connector tells that it surely did not happen."""
        failure = self.failure_of(node_id, kind, attempt=attempt, code=code)
        return self.tell(failure.model_copy(update={"retry_after_seconds": retry_after}))

    def doubt(self, node_id: str, *, attempt: int | None = None) -> Decision:
        """A connector tells that nobody knows."""
        return self.tell(self.doubt_of(node_id, attempt=attempt))

    def tell(self, status: NodeSucceeded | NodeFailed | NodeUnconfirmed) -> Decision:
        """Any status arrives."""
        return self.happen(Reported(self._tick(), status))

    def success_of(
        self, node_id: str, output: JsonObject | None = None, *, attempt: int | None = None
    ) -> NodeSucceeded:
        """The status that tells of a success."""
        return NodeSucceeded(**self._ids(node_id, attempt), output=output or {})

    def failure_of(
        self,
        node_id: str,
        kind: FailureKind,
        *,
        attempt: int | None = None,
        code: str = "broken",
    ) -> NodeFailed:
        """The status that tells of a failure."""
        error = Fault(code=code, message="it broke")
        return NodeFailed(**self._ids(node_id, attempt), kind=kind, error=error)

    def doubt_of(self, node_id: str, *, attempt: int | None = None) -> NodeUnconfirmed:
        """The status that tells that nobody knows."""
        error = Fault(code="answer_lost", message="the connection broke")
        return NodeUnconfirmed(**self._ids(node_id, attempt), error=error)

    def wake(self) -> Decision:
        """Time passes until the run's next wait is over."""
        due_at = self.now.wake_at
        if due_at is None:
            raise ValueError("the run waits for no time")
        self.at = max(self.at, due_at)
        return self.happen(Woken(self.at, due_at))

    def cancel(self, control_id: str = "c") -> Decision:
        """A person ends the run."""
        return self.happen(Cancelled(self._tick(), CancelRun(**self._control(control_id))))

    def retry(self, control_id: str = "r") -> Decision:
        """A person has the run go on."""
        return self.happen(Retried(self._tick(), RetryRun(**self._control(control_id))))

    def replay(
        self, node_id: str, control_id: str = "p", *, attempt: int | None = None
    ) -> Decision:
        """A person wants a command asked for again that could not be read."""
        return self.happen(self.wish_for(node_id, control_id, attempt=attempt))

    def wish_for(
        self, node_id: str, control_id: str = "p", *, attempt: int | None = None
    ) -> Replayed:
        """That wish."""
        ids = self._control(control_id)
        return Replayed(
            self._tick(),
            ReplayLetter(**ids, letter_id=RUN_ID),
            node_id,
            self.asked.execution_id_of(node_id),
            self.now.nodes[node_id].attempt if attempt is None else attempt,
        )

    def resolve(
        self, node_id: str, verdict: Verdict, control_id: str = "v", *, attempt: int | None = None
    ) -> Decision:
        """A person says what became of an execution."""
        return self.happen(
            Resolved(self._tick(), self.resolution(node_id, verdict, control_id, attempt=attempt))
        )

    def resolution(
        self, node_id: str, verdict: Verdict, control_id: str = "v", *, attempt: int | None = None
    ) -> ResolveExecution:
        """What a person says of an execution."""
        return ResolveExecution(
            **self._control(control_id),
            execution_id=self.asked.execution_id_of(node_id),
            node_id=node_id,
            attempt=self.now.nodes[node_id].attempt if attempt is None else attempt,
            verdict=verdict,
        )

    def _control(self, control_id: str) -> dict[str, Any]:
        return {
            "workspace": self.asked.workspace,
            "run_id": self.asked.run_id,
            "control_id": control_id,
            "requested_by": "sara",
            "requested_at": self.at,
        }

    def abandon(self) -> Decision:
        """The run cannot go on."""
        return self.happen(Abandoned(self._tick(), {"code": "unstorable", "message": "no"}))

    def _ids(self, node_id: str, attempt: int | None) -> dict[str, Any]:
        if attempt is None:
            attempt = self.now.nodes[node_id].attempt
        execution_id = self.asked.execution_id_of(node_id)
        return {
            "execution_id": execution_id,
            "command_id": command_id_of(execution_id, attempt),
            "workspace": self.asked.workspace,
            "run_id": self.asked.run_id,
            "workflow_id": self.asked.workflow_id,
            "node_id": node_id,
            "attempt": attempt,
            "connector": self.plan.steps[node_id].type,
            "started_at": self.at + timedelta(milliseconds=10),
            "ended_at": self.at + timedelta(milliseconds=250),
        }

    def _tick(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at
