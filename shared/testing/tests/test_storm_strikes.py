"""Strikes hit a process at work, and only then; a process without work is left as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import pytest
from mirsal_testing.stack import Stack
from mirsal_testing.storm import strikes
from mirsal_testing.storm.strikes import strike

from shared.testing.tests.test_stack import TOYS, enterable_folder

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with enterable_folder() as folder, Stack(folder / "state", environment=TOYS) as stack:
        yield stack


async def test_a_process_is_killed_while_it_stands_still_at_work(stack: Stack) -> None:
    (pid,) = stack.pids("gateway").values()
    seen = []

    async def in_hand(part: str, _stopped_at: float) -> int:
        seen.append((part, psutil.Process(pid).status()))
        return 0 if len(seen) < 3 else 7

    hit = await strike(stack, "gateway", in_hand)
    assert seen == [("gateway", psutil.STATUS_STOPPED)] * 3
    assert (hit.part, hit.in_hand) == ("gateway", 7)
    assert pid not in stack.pids("gateway").values()
    assert hit.killed_at < hit.ready_at


async def test_a_process_that_never_has_work_is_not_killed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strikes, "LOOK_SECONDS", 0.2)
    (pid,) = stack.pids("gateway").values()

    async def nothing(_part: str, _stopped_at: float) -> int:
        return 0

    with pytest.raises(AssertionError, match="nothing in hand"):
        await strike(stack, "gateway", nothing)
    assert list(stack.pids("gateway").values()) == [pid]
    assert psutil.Process(pid).status() != psutil.STATUS_STOPPED
