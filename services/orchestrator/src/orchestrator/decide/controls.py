"""What people want of a run: that it ends, goes on, or that an execution's rest is decided.

What does not fit the run as it is changes nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from mirsal_contracts.message import JsonObject
from mirsal_contracts.statuses import UNREADABLE_COMMAND

from orchestrator.decide.events import Cancelled, Replayed, Resolved, Retried
from orchestrator.decide.moves import cancel, decide_condition, fail_node, start_attempt
from orchestrator.decide.plan import Step
from orchestrator.decide.state import OUTSTANDING, NodeState, RunState
from orchestrator.decide.transitions import AWAITED, TRANSITIONS, known_of
from orchestrator.decide.turn import Turn

IN_FLIGHT: JsonObject = {
    "code": "cancelled",
    "message": "the run was cancelled while this was on its way: it may still happen, and what "
    "comes of it is recorded here",
}

IN_DOUBT: JsonObject = {
    "code": "unconfirmed",
    "message": "nobody can tell whether it happened: say that it was sent, or have it sent again",
}


def _cancel(turn: Turn, state: RunState, event: Cancelled) -> None:
    if state.is_final:
        return
    by = event.message.requested_by
    turn.error = turn.error or {"code": "cancelled", "message": f"cancelled by {by}"}
    turn.is_cancelled = True
    for step, node in _steps_in_order(turn):
        move = TRANSITIONS[node.phase].get("cancel")
        if move == "cancel":
            cancel(turn, step, node, turn.at)
        elif move == "abort":
            _abort(turn, step, node)


def _retry(turn: Turn, state: RunState, _event: Retried) -> None:
    if state.status in ("failed", "cancelled") and not turn.request.is_erased:
        _reopen_all(turn)


def _reopen_all(turn: Turn) -> None:
    turn.error, turn.is_cancelled = None, False
    for step, node in _steps_in_order(turn):
        # Where one fails again at once, those after it are left for the next time.
        if not turn.is_failing and "reopen" in TRANSITIONS[node.phase]:
            _reopen(turn, step, node)
    turn.consider(*(node_id for node_id in turn.plan.steps if node_id not in turn.nodes))


def _resolve(turn: Turn, _state: RunState, event: Resolved) -> None:
    message = event.message
    step, node = turn.plan.steps.get(message.node_id), turn.nodes.get(message.node_id)
    if step is None or node is None or node.attempt != message.attempt:
        return
    if message.execution_id != turn.request.execution_id_of(step.id):
        return
    match TRANSITIONS[node.phase].get(message.verdict):
        case "confirm":
            confirmed = NodeState(
                "succeeded",
                node.attempt,
                node.retries,
                output={"confirmedBy": message.requested_by},
            )
            turn.put(step, confirmed, start=node.started_at, end=turn.at)
        case "start_attempt" if not turn.is_failing:
            start_attempt(turn, step, node)
        case "give_up":
            error: JsonObject = {
                "code": "given_up",
                "message": f"given up by {message.requested_by}",
                **({"details": node.error} if node.error else {}),
            }
            late = known_of(node.phase)
            fail_node(turn, step, node, error, node.started_at, turn.at, late=late)


def replay(turn: Turn, state: RunState, event: Replayed) -> bool:
    """Ask again for what went to the dead letters, if the run still waits for it; whether it does.

    Always the same attempt: while its answer is awaited, or where the run failed because one
    process could not read it. Another may have read the same command and acted on it, which the
    connector's ledger then tells.
    """
    step, node = turn.plan.steps.get(event.node_id), turn.nodes.get(event.node_id)
    if step is None or node is None or node.attempt != event.attempt:
        return False
    if event.execution_id != turn.request.execution_id_of(step.id):
        return False
    if node.phase in OUTSTANDING:
        if node.cause == event.key:
            return False
        _ask_anew(turn, step, node)
        return True
    error = state.error or {}
    was_unreadable = error.get("code") == UNREADABLE_COMMAND and error.get("nodeId") == step.id
    if (
        turn.request.is_erased
        or state.status != "failed"
        or node.phase != "failed"
        or not was_unreadable
    ):
        return False
    _reopen_all(turn)
    return True


def _abort(turn: Turn, step: Step, node: NodeState) -> None:
    """Wait no longer for what is on its way, or what nobody knows."""
    late = known_of(node.phase)
    aborted = NodeState(
        "cancelled",
        node.attempt,
        node.retries,
        started_at=node.started_at,
        error=IN_FLIGHT if late == AWAITED else node.error,
        late=late,
    )
    turn.put(step, aborted, start=node.started_at, end=turn.at)


def _reopen(turn: Turn, step: Step, node: NodeState) -> None:
    """On from a failed or cancelled node.

    What is known to have happened is not done again, and of what is not known no new attempt is
    made: the connector is asked for the same one once more, or a person decides.
    """
    if node.late == "success":
        done = NodeState("succeeded", node.attempt, node.retries, output=node.output)
        turn.put(step, done, start=node.started_at, end=turn.at)
    elif node.late == "unconfirmed":
        doubtful = node._replace(phase="unconfirmed", late="", error=node.error or IN_DOUBT)
        turn.put(step, doubtful, start=node.started_at, end=turn.at)
    elif node.late == AWAITED:
        _ask_anew(turn, step, node)
    elif step.kind.connector:
        start_attempt(turn, step, NodeState("queued", node.attempt))
    else:
        decide_condition(turn, step)


def _ask_anew(turn: Turn, step: Step, node: NodeState) -> None:
    asked = NodeState(
        "queued",
        node.attempt,
        node.retries,
        due=turn.after(turn.rules.silent_seconds[0]),
        cause=turn.event.key,
        started_at=node.started_at,
    )
    turn.repeat(step, node.attempt)
    turn.put(step, asked, start=node.started_at)


def _steps_in_order(turn: Turn) -> list[tuple[Step, NodeState]]:
    """The nodes that have a state; those of a graph that this release cannot follow are not."""
    found = [
        (turn.plan.steps[node_id], node)
        for node_id, node in turn.nodes.items()
        if node_id in turn.plan.steps
    ]
    return sorted(found, key=_position)


def _position(entry: tuple[Step, NodeState]) -> int:
    return entry[0].position


Control: TypeAlias = Callable[[Turn, RunState, Any], None]
CONTROL: Mapping[type, Control] = {Cancelled: _cancel, Retried: _retry, Resolved: _resolve}
