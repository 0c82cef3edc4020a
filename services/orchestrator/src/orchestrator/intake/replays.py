"""What people want dealt with once more: from the wish and the letter to an event of its run. Pure.

Nothing of a letter goes to a connector as it is: a command is asked for again by the run that
waits for it, and made anew.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from mirsal_contracts.controls import ReplayLetter
from mirsal_contracts.requests import RunRequested
from mirsal_contracts.topics import COMMANDS

from orchestrator.decide import Decision, Replayed
from orchestrator.intake.records import (
    Arrival,
    Replay,
    Unreadable,
    read_record,
)
from orchestrator.store.letters import KeptLetter, Mark, Outcome

_COMMAND_TOPICS = frozenset(topic.name for topic in COMMANDS.values())


class Opened(NamedTuple):
    """The events that the wishes of a batch come to, and what can be said of the others at once."""

    arrivals: list[Arrival]
    marks: list[Mark]
    unborn: list[str]
    """Runs whose own request is among the letters."""


def open_letters(
    arrivals: Iterable[Arrival], letters: Mapping[str, KeptLetter], prefix: str
) -> Opened:
    """Put each wish's letter in its place. A wish for a letter that is not there comes to nothing,
    nor does one for a letter of another run or workspace than its own."""
    opened = Opened([], [], [])
    for arrival in arrivals:
        wish = arrival.message
        if not isinstance(wish, ReplayLetter):
            opened.arrivals.append(arrival)
            continue
        letter = letters.get(wish.letter_id)
        if letter is None or (letter.workspace, letter.run_id) != (wish.workspace, wish.run_id):
            continue
        replay = Replay(wish, letter)
        if letter.topic in _COMMAND_TOPICS:
            opened.arrivals.append(arrival._replace(replay=replay))
            continue
        again = _read_again(letter, prefix)
        if again is None or (again.run_id, again.message.workspace) != (
            wish.run_id,
            wish.workspace,
        ):
            opened.marks.append(mark_of(replay, "unreadable"))
            continue
        opened.arrivals.append(again._replace(replay=replay))
        if isinstance(again.message, RunRequested):
            opened.unborn.append(again.run_id)
    return opened


def _read_again(letter: KeptLetter, prefix: str) -> Arrival | None:
    """None for what cannot be read still, and for the wish to replay yet another letter."""
    try:
        again = read_record(letter._replace(topic=prefix + letter.topic), prefix)
    except KeyError:
        return None
    if isinstance(again, Unreadable) or isinstance(again.message, ReplayLetter):
        return None
    return again


def replayed(replay: Replay, at: datetime) -> Replayed:
    """The event of a command that went to the dead letters."""
    letter = replay.letter
    return Replayed(at, replay.wish, letter.node_id, letter.execution_id, letter.attempt)


def mark_of(replay: Replay, outcome: Outcome) -> Mark:
    """What is kept with the letter."""
    wish = replay.wish
    return Mark(
        wish.run_id,
        wish.letter_id,
        wish.workspace,
        wish.control_id,
        wish.requested_by,
        wish.requested_at,
        outcome,
    )


def outcome_of(decision: Decision, replay: Replay) -> Outcome:
    """What the run made of it."""
    if decision.ignored is not None:
        return "reissued" if decision.commands else "not_awaited"
    if replay.letter.topic in _COMMAND_TOPICS:
        return "reissued" if decision.commands else "failed"
    return "taken"
