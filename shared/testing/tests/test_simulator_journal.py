"""The journal and the tally behind the simulators' records."""

from __future__ import annotations

import asyncio

import pytest
from mirsal_testing.simulators.journal import Journal, Tally


def journal(*entries: str, keep: int = 0) -> Journal[str]:
    made: Journal[str] = Journal(keep)
    for entry in entries:
        made.append(entry)
    return made


def test_entries_are_numbered_from_one() -> None:
    made = journal("a", "b", "c")
    assert (made.get(0), made.get(1), made.get(3), made.get(4)) == (None, "a", "c", None)
    assert made.after(0, 10) == ["a", "b", "c"]
    assert made.after(1, 1) == ["b"]
    assert made.after(0, 1, lambda entry: entry > "a") == ["b"]
    assert made.after(3, 10) == []


def test_numbers_stay_when_old_entries_go() -> None:
    made = journal("a", "b", "c", "d", keep=2)
    assert (made.total, len(made), made.first_sequence) == (4, 2, 3)
    assert (made.get(2), made.get(3)) == (None, "c")
    assert made.after(0, 10) == ["c", "d"]
    assert made.after(3, 10) == ["d"]


async def test_reach_returns_at_the_right_entry() -> None:
    made = journal("a")
    await made.reach(1, 0.01)
    waiting = asyncio.create_task(made.reach(3, 5))
    await asyncio.sleep(0)
    made.append("b")
    await asyncio.sleep(0)
    assert not waiting.done()
    made.append("c")
    await waiting
    with pytest.raises(TimeoutError, match="3 of 4"):
        await made.reach(4, 0.01)


def test_tally_knows_what_came_again() -> None:
    tally = Tally()
    for key in ("a", "b", "a", "a"):
        tally.add(key)
    assert (len(tally), tally.counts, tally.repeated) == (2, {"a": 3, "b": 1}, {"a": 3})
    tally.clear()
    assert (len(tally), tally.repeated) == (0, {})
