"""`decide`: what follows from one event."""

from typing import assert_never

from mirsal_contracts.message import JsonObject
from mirsal_contracts.statuses import UNREADABLE_COMMAND

from orchestrator.decide.controls import CONTROL, replay
from orchestrator.decide.erasing import LEAD_ERASED, strip
from orchestrator.decide.events import (
    Abandoned,
    Cancelled,
    Controlled,
    Erased,
    Event,
    Replayed,
    Reported,
    Requested,
    Resolved,
    Retried,
    Woken,
)
from orchestrator.decide.moves import (
    ON_DUE,
    ON_REPORT,
    Report,
    cancel,
    decide_condition,
    fail_node,
    start_attempt,
)
from orchestrator.decide.plan import Plan, Step
from orchestrator.decide.state import NO_CONSENT, NodeState, RunRequest, RunState
from orchestrator.decide.transitions import (
    TRANSITIONS,
    is_of_this_attempt,
    known_of,
    news_of,
    says_more,
)
from orchestrator.decide.turn import Decision, Rules, Turn

RULES = Rules()
MOST_CONTROLS = 32
_UNSENT = frozenset({"retrying", "parked"})


def decide(
    request: RunRequest,
    state: RunState | None,
    event: Event,
    plan: Plan,
    rules: Rules = RULES,
) -> Decision:
    """What follows from `event` for a run in `state` (None: it does not exist yet).

    Only `Requested`, `Abandoned` and `Erased` may come first. An event that is illegal or was had
    before is ignored: the state stays, and what it made the run send, if still unanswered, goes out
    once more under the same ids, since the first time may have died with its process.
    """
    turn = Turn(request, plan, state, event, rules)
    match event:
        case Requested():
            return _begin(turn, state)
        case Abandoned():
            return _abandon(turn, state, event)
        case Erased():
            return _erase(turn, state)
    if state is None:
        raise ValueError(f"{event.key}: a run begins with its request")
    match event:
        case Reported():
            return _report(turn, state, event)
        case Woken():
            return _wake(turn, state, event)
        case Cancelled() | Retried() | Resolved():
            return _control(turn, state, event)
        case Replayed():
            return _replay(turn, state, event)
    assert_never(event)


def _begin(turn: Turn, state: RunState | None) -> Decision:
    if state is not None:
        turn.send_again(whatever_the_cause=True)
        return turn.ignore(state, "requested before")
    turn.consider(*turn.plan.roots)
    _advance(turn)
    return turn.conclude()


def _report(turn: Turn, state: RunState, event: Reported) -> Decision:
    refusal = _refuse_report(turn, event)
    if refusal is not None:
        return turn.ignore(state, refusal, foreign=True)
    status = event.status
    step, node = turn.plan.steps[status.node_id], turn.nodes[status.node_id]
    news = news_of(status)
    move = TRANSITIONS[node.phase].get(news)
    if (
        move is None
        or not is_of_this_attempt(news, status.attempt, node.attempt)
        or (move == "record" and not says_more(news, node.late))
        or _says_nothing(event, node)
    ):
        turn.send_again(whatever_the_cause=False)
        return turn.ignore(
            state, f"{news} of attempt {status.attempt} in {node.phase}, attempt {node.attempt}"
        )
    ON_REPORT[move](turn, step, node, Report.of(status))
    _advance(turn)
    return turn.conclude()


def _says_nothing(event: Reported, node: NodeState) -> bool:
    """That one process could not read an attempt's command says nothing where that was known
    before a person had it asked for again, nor where another process may have acted on it."""
    status = event.status
    if status.status != "failed" or status.error.code != UNREADABLE_COMMAND:
        return False
    return status.started_at == node.started_at or node.phase in ("unconfirmed", "cancelled")


def _refuse_report(turn: Turn, event: Reported) -> str | None:
    """Why a status is of no execution of this run."""
    status, request = event.status, turn.request
    if status.workspace != request.workspace:
        return "of another workspace"
    if status.node_id not in turn.nodes or status.iteration != 0:
        return "of a node that was not started"
    if status.execution_id != request.execution_id_of(status.node_id):
        return "of another execution"
    return None


def _wake(turn: Turn, state: RunState, event: Woken) -> Decision:
    # The poller saw by the database's clock that this time has come.
    turn.at = max(event.at, event.due_at)
    due = [
        turn.plan.steps[node_id]
        for node_id, node in turn.nodes.items()
        if node.due is not None and node.due <= turn.at
    ]
    for step in sorted(due, key=_position):
        node = turn.nodes[step.id]
        move = TRANSITIONS[node.phase].get("due")
        if move is not None:
            ON_DUE[move](turn, step, node)
    turn.send_again(whatever_the_cause=False)
    if not due:
        return turn.ignore(state, "nothing is due")
    _advance(turn)
    return turn.conclude()


def _control(turn: Turn, state: RunState, event: Controlled) -> Decision:
    """What a person wants counts once, at its first arrival, even where it then came to nothing:
    redelivered after another's wish it must not find the run in a state that it now fits."""
    message = event.message
    if message.workspace != turn.request.workspace:
        return turn.ignore(state, "of another workspace", foreign=True)
    if message.control_id in state.controls:
        turn.send_again(whatever_the_cause=False)
        return turn.ignore(state, "had before")
    turn.controls = (*state.controls, message.control_id)[-MOST_CONTROLS:]
    CONTROL[type(event)](turn, state, event)
    _advance(turn)
    return turn.conclude()


def _replay(turn: Turn, state: RunState, event: Replayed) -> Decision:
    """Counts as often as it comes: of what it asks for, only one attempt can ever follow."""
    if event.message.workspace != turn.request.workspace:
        return turn.ignore(state, "of another workspace", foreign=True)
    if not replay(turn, state, event):
        turn.send_again(whatever_the_cause=False)
        return turn.ignore(state, "the run does not wait for it")
    _advance(turn)
    return turn.conclude()


def _abandon(turn: Turn, state: RunState | None, event: Abandoned) -> Decision:
    """End the run: what is in flight may happen, and nobody will learn it here."""
    if state is not None and state.is_final:
        return turn.ignore(state, "the run is over")
    _end(turn, event.fault)
    return turn.conclude()


def _erase(turn: Turn, state: RunState | None) -> Decision:
    """End the run if it goes on, and keep of all of it only what names nobody."""
    if state is None or not state.is_final:
        _end(turn, LEAD_ERASED)
    strip(turn)
    return turn.conclude()


def _end(turn: Turn, fault: JsonObject) -> None:
    turn.error = turn.error or fault
    for node_id, node in tuple(turn.nodes.items()):
        step = turn.plan.steps.get(node_id)
        if step is None:
            # Of a graph that this release cannot follow: the row stays as it is.
            turn.nodes[node_id] = NodeState("failed", node.attempt, node.retries)
        elif node.phase in _UNSENT:
            cancel(turn, step, node, turn.at)
        elif not node.is_final:
            late = known_of(node.phase)
            fail_node(turn, step, node, fault, node.started_at, turn.at, late=late)


def _advance(turn: Turn) -> None:
    """Start, skip or decide every node that waits for nothing more."""
    for step in turn.take_candidates():
        if turn.is_failing:
            return
        sources = [(turn.nodes.get(each.source), each.when) for each in step.incoming]
        if not all(source is not None and source.is_final for source, _ in sources):
            continue
        taken = not sources or any(
            source is not None and source.goes_on and when in (None, source.outcome)
            for source, when in sources
        )
        if taken:
            _start(turn, step)
        else:
            _skip(turn, step, "not_taken", "no connection to this node was taken")


def _start(turn: Turn, step: Step) -> None:
    consent = turn.request.lead.get("consent")
    channel = step.kind.channel
    if not step.kind.connector:
        decide_condition(turn, step)
    elif channel is not None and isinstance(consent, dict) and consent.get(channel) is False:
        _skip(turn, step, NO_CONSENT, f"the lead does not consent to {channel} messages")
    else:
        start_attempt(turn, step, NodeState("queued"))


def _skip(turn: Turn, step: Step, code: str, message: str) -> None:
    turn.put(step, NodeState("skipped", error={"code": code, "message": message}), end=turn.at)


def _position(step: Step) -> int:
    return step.position
