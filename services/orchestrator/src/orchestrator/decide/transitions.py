"""The table of node states: what news a phase accepts, and which move follows.

A pair that is not in the table is illegal: it changes nothing. The theory of it:

- News of an attempt counts while nobody knows its outcome: the command is out (`queued`,
  `silent`) or its outcome is in doubt (`unconfirmed`).
- That it succeeded counts in every phase that is not final, even if it comes late and from an
  earlier attempt: whatever else was planned, the lead has the message.
- That it is due counts where something was planned for that time.
- Final is final: what comes late to a cancelled node is recorded and changes nothing else. Only
  a person's word leads on from a failed or cancelled one.
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
    "cancel",
    "reopen",
    "sent",
    "resend",
    "give_up",
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
    "record",  # it came too late: keep what it says, and nothing else
    "cancel",  # nothing was sent, and nothing will be
    "abort",  # it is on its way, or nobody knows: no longer waited for
    "reopen",  # on from here, as a person wants
    "confirm",  # it happened, as a person knows
    "give_up",  # a person says that it failed
]

_OF_AN_ATTEMPT: Mapping[News, Move] = {
    "success": "succeed",
    "transient": "retry",
    "throttled": "postpone",
    "expired": "ask_again",
    "action_required": "park",
    "permanent": "fail",
}

_OF_A_PERSON: Mapping[News, Move] = {
    "cancel": "abort",
    "sent": "confirm",
    "resend": "start_attempt",
    "give_up": "give_up",
}
_TOO_LATE: Mapping[News, Move] = dict.fromkeys((*_OF_AN_ATTEMPT, "unconfirmed"), "record")

TRANSITIONS: Mapping[Phase, Mapping[News, Move]] = {
    "queued": {
        **_OF_AN_ATTEMPT,
        "unconfirmed": "doubt",
        "due": "repeat_command",
        "cancel": "abort",
    },
    "silent": {**_OF_AN_ATTEMPT, "unconfirmed": "doubt", **_OF_A_PERSON},
    "unconfirmed": {**_OF_AN_ATTEMPT, **_OF_A_PERSON},
    "retrying": {"success": "succeed", "due": "start_attempt", "cancel": "cancel"},
    "parked": {
        "success": "succeed",
        "cancel": "cancel",
        "resend": "start_attempt",
        "give_up": "give_up",
    },
    "succeeded": {},
    "failed": {"reopen": "reopen"},
    "skipped": {},
    "cancelled": {**_TOO_LATE, "reopen": "reopen"},
}


AWAITED = "awaited"
UNSENT = "unsent"
_UNKNOWN: Mapping[Phase, str] = {
    "queued": AWAITED,
    "silent": AWAITED,
    "unconfirmed": "unconfirmed",
}


def known_of(phase: Phase) -> str:
    """What is known of the attempt of a node that is ended from outside in this phase."""
    return _UNKNOWN.get(phase, "")


def news_of(status: NodeSucceeded | NodeFailed | NodeUnconfirmed) -> News:
    """What a status says, in the table's words."""
    if status.status == "success":
        return "success"
    return status.kind if status.status == "failed" else "unconfirmed"


def says_more(news: News, late: str) -> bool:
    """Whether late news of a cancelled node say more than the last ones did."""
    return _weight(news) > _weight(late)


def _weight(news: str) -> int:
    return {"": 0, AWAITED: 0, "unconfirmed": 1, "success": 3}.get(news, 2)


def is_of_this_attempt(news: News, attempt: int, current: int) -> bool:
    """Whether news of `attempt` counts now that `current` is the newest."""
    return attempt == current or (news == "success" and attempt < current)
