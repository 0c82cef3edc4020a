"""The table of node states: what news a phase accepts, and which move follows.

A pair that is not in the table is illegal: it changes nothing. The theory of it:

- News of an attempt counts while nobody knows its outcome: the command is out (`queued`,
  `silent`) or its outcome is in doubt (`unconfirmed`).
- That it succeeded counts in every phase that is not final, even if it comes late and from an
  earlier attempt: whatever else was planned, the lead has the message.
- That it is due counts where something was planned for that time.
- Final is final: no row starts from there.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from mirsal_contracts.statuses import NodeFailed, NodeSucceeded, NodeUnconfirmed

from orchestrator.decide.state import Phase

News: TypeAlias = Literal[
    "success",
    "transient",
    "throttled",
    "expired",
    "action_required",
    "permanent",
    "unconfirmed",
    "due",
]
Move: TypeAlias = Literal[
    "succeed",  # it happened
    "retry",  # it failed: another try after a pause, if any is left
    "postpone",  # not now: another attempt later, which costs no retry
    "ask_again",  # too late for this attempt: another one at once, which costs no retry
    "park",  # a person must act first
    "fail",  # for good
    "doubt",  # nobody can tell: rest, or send again where the node's policy says so
    "start_attempt",  # the pause is over
    "repeat_command",  # no answer: the same command again
]

_OF_AN_ATTEMPT: Mapping[News, Move] = {
    "success": "succeed",
    "transient": "retry",
    "throttled": "postpone",
    "expired": "ask_again",
    "action_required": "park",
    "permanent": "fail",
}

TRANSITIONS: Mapping[Phase, Mapping[News, Move]] = {
    "queued": {**_OF_AN_ATTEMPT, "unconfirmed": "doubt", "due": "repeat_command"},
    "silent": {**_OF_AN_ATTEMPT, "unconfirmed": "doubt"},
    "unconfirmed": _OF_AN_ATTEMPT,
    "retrying": {"success": "succeed", "due": "start_attempt"},
    "parked": {"success": "succeed"},
    "succeeded": {},
    "failed": {},
    "skipped": {},
    "cancelled": {},
}


def news_of(status: NodeSucceeded | NodeFailed | NodeUnconfirmed) -> News:
    """What a status says, in the table's words."""
    if status.status == "success":
        return "success"
    return status.kind if status.status == "failed" else "unconfirmed"


def is_of_this_attempt(news: News, attempt: int, current: int) -> bool:
    """Whether news of `attempt` counts now that `current` is the newest."""
    return attempt == current or (news == "success" and attempt < current)
