"""What each move of the table does to a node."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple, TypeAlias

from mirsal_contracts.message import JsonObject
from mirsal_contracts.statuses import UNREADABLE_COMMAND, NodeFailed, NodeSucceeded, NodeUnconfirmed

from orchestrator.decide.plan import Step
from orchestrator.decide.rendering import CommandRefused, evaluate_outcome
from orchestrator.decide.retry import backoff_seconds, throttle_seconds
from orchestrator.decide.state import NodeState
from orchestrator.decide.storable import storable_fault, storable_output
from orchestrator.decide.transitions import AWAITED, UNSENT, Move, News, news_of
from orchestrator.decide.turn import Turn

NO_ANSWER: JsonObject = {
    "code": "no_answer",
    "message": "the connector has not answered, however often it was asked: see that it runs; "
    "a late answer still counts",
}


class Report(NamedTuple):
    """A status as the moves need it; `error` is empty for a success."""

    started_at: datetime
    ended_at: datetime
    output: JsonObject | None
    error: JsonObject
    retry_after: float | None
    news: News

    @classmethod
    def of(cls, status: NodeSucceeded | NodeFailed | NodeUnconfirmed) -> "Report":
        if isinstance(status, NodeSucceeded):
            output = storable_output(status.output)
            return cls(status.started_at, status.ended_at, output, {}, None, "success")
        retry_after = status.retry_after_seconds if isinstance(status, NodeFailed) else None
        error = storable_fault(status.error)
        return cls(status.started_at, status.ended_at, None, error, retry_after, news_of(status))


def start_attempt(turn: Turn, step: Step, node: NodeState) -> None:
    """Send the next attempt's command; the node fails where it cannot be made."""
    attempt = node.attempt + 1
    try:
        turn.send(step, attempt)
    except CommandRefused as refused:
        fail_node(turn, step, node, refused.fault, node.started_at, turn.at)
        return
    # Made directly: `_replace` takes as long as all the rest of this function.
    queued = NodeState(
        "queued",
        attempt,
        node.retries,
        0,
        turn.after(turn.rules.silent_seconds[0]),
        turn.event.key,
        node.started_at,
        node.outcome,
        node.output,
        node.error,
        node.late,
    )
    turn.put(step, queued, start=node.started_at)


def repeat_command(turn: Turn, step: Step, node: NodeState) -> None:
    """A round passed without an answer: ask again, or rest after the last one."""
    rounds = node.rounds + 1
    if rounds == len(turn.rules.silent_seconds):
        silent = node._replace(phase="silent", rounds=rounds, due=None, error=NO_ANSWER)
        turn.put(step, silent, start=node.started_at)
        return
    turn.repeat(step, node.attempt)
    turn.nodes[step.id] = node._replace(
        rounds=rounds,
        due=turn.after(turn.rules.silent_seconds[rounds]),
        cause=turn.event.key,
    )


def fail_node(
    turn: Turn,
    step: Step,
    node: NodeState,
    error: JsonObject,
    start: datetime | None,
    end: datetime,
    *,
    late: str = "",
) -> None:
    """The node fails, and the run with it: what has not been sent yet never will be."""
    failed = NodeState("failed", node.attempt, node.retries, late=late)
    turn.put(step, failed, start=start, end=end, error=error)
    if turn.is_failing:
        return
    turn.error = {**error, "nodeId": step.id}
    for node_id, other in tuple(turn.nodes.items()):
        if other.phase in ("retrying", "parked"):
            cancel(turn, turn.plan.steps[node_id], other, turn.at)


def cancel(turn: Turn, step: Step, node: NodeState, end: datetime) -> None:
    """Nothing was sent for the node, and nothing will be."""
    cancelled = NodeState("cancelled", node.attempt, node.retries, late=UNSENT)
    turn.put(step, cancelled, start=node.started_at, end=end, error=node.error)


def decide_condition(turn: Turn, step: Step) -> None:
    """Succeed with the condition's outcome, or fail where it has none."""
    try:
        outcome = evaluate_outcome(step, turn.request, turn.nodes)
    except CommandRefused as refused:
        fail_node(turn, step, NodeState("queued"), refused.fault, turn.at, turn.at)
        return
    node = NodeState("succeeded", outcome=outcome, output={"result": outcome == "true"})
    turn.put(step, node, start=turn.at, end=turn.at)


def _succeed(turn: Turn, step: Step, node: NodeState, report: Report) -> None:
    succeeded = NodeState("succeeded", node.attempt, node.retries, output=report.output)
    turn.put(step, succeeded, start=node.started_at or report.started_at, end=report.ended_at)


def _fail(turn: Turn, step: Step, node: NodeState, report: Report) -> None:
    start = node.started_at or report.started_at
    # That one process could not read a command says nothing of another that it came to as well.
    late = AWAITED if report.error.get("code") == UNREADABLE_COMMAND else ""
    fail_node(turn, step, node, report.error, start, report.ended_at, late=late)
    if late:
        turn.nodes[step.id] = turn.nodes[step.id]._replace(started_at=report.started_at)


def _retry(turn: Turn, step: Step, node: NodeState, report: Report) -> None:
    if not turn.is_failing and node.retries == step.max_retries:
        _fail(turn, step, node, report)
        return
    failed = node.retries + 1
    pause = backoff_seconds(step.retry, failed, _seed(turn, step, node))
    pause = max(pause, report.retry_after or 0.0)
    _wait(turn, step, node._replace(retries=failed), report, pause)


def _postpone(turn: Turn, step: Step, node: NodeState, report: Report) -> None:
    seconds = step.retry.backoff_seconds if report.retry_after is None else report.retry_after
    _wait(turn, step, node, report, throttle_seconds(seconds, _seed(turn, step, node)))


def _ask_again(turn: Turn, step: Step, node: NodeState, report: Report) -> None:
    if turn.is_failing:
        cancel(turn, step, _tried(node, report), report.ended_at)
    else:
        start_attempt(turn, step, node)


def _park(turn: Turn, step: Step, node: NodeState, report: Report) -> None:
    parked = _tried(node, report)._replace(phase="parked", due=None)
    if turn.is_failing:
        cancel(turn, step, parked, report.ended_at)
    else:
        turn.put(step, parked, start=parked.started_at)


def _doubt(turn: Turn, step: Step, node: NodeState, report: Report) -> None:
    resends = step.on_unconfirmed == "resend" and node.retries < step.max_retries
    if resends and not turn.is_failing:
        _retry(turn, step, node, report)
        return
    doubtful = _tried(node, report)._replace(phase="unconfirmed", due=None)
    turn.put(step, doubtful, start=doubtful.started_at, end=report.ended_at)


def _record(turn: Turn, step: Step, node: NodeState, report: Report) -> None:
    """The run is cancelled: what became of the attempt is kept for whoever asks."""
    error: JsonObject = {
        "code": "cancelled",
        "message": "the run was cancelled, and afterwards the connector reported: " + report.news,
        "details": {"late": report.news, **({"error": report.error} if report.error else {})},
    }
    recorded = NodeState(
        "cancelled",
        node.attempt,
        node.retries,
        started_at=node.started_at or report.started_at,
        output=report.output,
        error=error,
        late=report.news,
    )
    turn.put(step, recorded, start=recorded.started_at, end=report.ended_at, is_late=True)


def _wait(turn: Turn, step: Step, node: NodeState, report: Report, seconds: float) -> None:
    """Another attempt when the time has come, unless none starts any more."""
    waiting = _tried(node, report)._replace(phase="retrying", due=turn.after(seconds), rounds=0)
    if turn.is_failing:
        cancel(turn, step, waiting, report.ended_at)
    else:
        turn.put(step, waiting, start=waiting.started_at)


def _tried(node: NodeState, report: Report) -> NodeState:
    return node._replace(started_at=node.started_at or report.started_at, error=report.error)


def _seed(turn: Turn, step: Step, node: NodeState) -> str:
    return f"{turn.request.execution_id_of(step.id)}.{node.attempt}"


OnReport: TypeAlias = Callable[[Turn, Step, NodeState, Report], None]
OnDue: TypeAlias = Callable[[Turn, Step, NodeState], None]

ON_REPORT: Mapping[Move, OnReport] = {
    "succeed": _succeed,
    "retry": _retry,
    "postpone": _postpone,
    "ask_again": _ask_again,
    "park": _park,
    "fail": _fail,
    "doubt": _doubt,
    "record": _record,
}
ON_DUE: Mapping[Move, OnDue] = {"start_attempt": start_attempt, "repeat_command": repeat_command}
