"""What is left of a run whose lead was erased: what was done when, and how it ended. Pure.

The rows of its executions are stripped in the same way by the store.
"""

from typing import Final

from mirsal_contracts.message import JsonObject

from orchestrator.decide.turn import Turn

LEAD_ERASED: Final[JsonObject] = {"code": "lead_erased", "message": "the lead was erased"}
STRIPPED: Final = "what was said of it went with the lead, which was erased"
_KEPT: Final = ("code", "outcome", "nodeId")


def strip(turn: Turn) -> None:
    """Take what may be personal out of all nodes and of the run's error."""
    for node_id, node in turn.nodes.items():
        turn.nodes[node_id] = node._replace(output=None, error=_stripped(node.error))
    turn.error = _stripped(turn.error)


def _stripped(error: JsonObject | None) -> JsonObject | None:
    """An error by its code alone."""
    if error is None or error.get("code") == LEAD_ERASED["code"]:
        return error
    return {**{name: error[name] for name in _KEPT if name in error}, "message": STRIPPED}
