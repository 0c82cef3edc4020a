"""The brain: what a run does next, as a pure function of its state and one event.

Nothing here reads a clock, draws a random number or an id, logs, awaits or does I/O.
"""

from orchestrator.decide.engine import decide
from orchestrator.decide.events import (
    Abandoned,
    Cancelled,
    Erased,
    Event,
    Replayed,
    Reported,
    Requested,
    Resolved,
    Retried,
    Woken,
)
from orchestrator.decide.plan import EMPTY_PLAN, GraphRefused, Plan, compile_plan
from orchestrator.decide.state import NodeState, RunRequest, RunState
from orchestrator.decide.turn import Command, Decision, ExecutionRow, Ignored, Rules

__all__ = [
    "EMPTY_PLAN",
    "Abandoned",
    "Cancelled",
    "Command",
    "Decision",
    "Erased",
    "Event",
    "ExecutionRow",
    "GraphRefused",
    "Ignored",
    "NodeState",
    "Plan",
    "Replayed",
    "Reported",
    "Requested",
    "Resolved",
    "Retried",
    "Rules",
    "RunRequest",
    "RunState",
    "Woken",
    "compile_plan",
    "decide",
]
