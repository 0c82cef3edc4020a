"""A tab's queue: what goes together, in which order, and what becomes of what fails."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import chain
from typing import Any, cast

import pytest
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    OutcomeUnknown,
    PermanentError,
    RetryableError,
    ThrottledError,
)
from mirsal_runtime.tasks import cancel
from sheets_worker.errors import Code
from sheets_worker.jobs import Job
from sheets_worker.rows import Placed, Row, TabName
from sheets_worker.tab import Busy, Tab
from sheets_worker.writer import GroupLimits, TabWriter

DONE = Placed("sheet", "'Leads'!A2", 2)


class Google:
    """Notes each group; `answers` says what becomes of the next ones: a failure, or success."""

    def __init__(self) -> None:
        self.name = TabName("1Bx", "Leads")
        self.calls = self
        self.pace = 0.0
        self.groups: list[list[str]] = []
        self.answers: list[AttemptFailure | None] = []
        self.refuses: Callable[[Job], bool] = lambda _job: False
        self.gate: Awaitable[Any] | None = None

    async def perform(self, _tab: Tab, jobs: Sequence[Job]) -> None:
        """See `TabWriter`."""
        self.groups.append([job.key for job in jobs])
        if self.gate is not None:
            await self.gate
        failure = self.answers.pop(0) if self.answers else None
        if failure is not None:
            raise failure
        if any(self.refuses(job) for job in jobs):
            raise PermanentError(Code.REFUSED, "one of them")
        for job in jobs:
            job.succeed(DONE)


@pytest.fixture
def google() -> Google:
    return Google()


@pytest.fixture
async def writer(google: Google) -> AsyncIterator[TabWriter]:
    """A writer of groups of at most eight jobs and 2,000 bytes."""
    # What a writer needs of a tab is its name and the pace.
    tab = cast("Tab", google)
    made = TabWriter(tab, {"append": google.perform, "lookup": google.perform},
                     GroupLimits(rows=8, bytes=2000, seconds=0.02))  # fmt: skip
    task = asyncio.create_task(made.run())
    yield made
    await cancel(task)


def job(key: str, kind: str = "append", *, seconds: float = 10.0, **more: Any) -> Job:
    return Job((kind,), Row(key, "w", {}), seconds, **more)


async def ends(*jobs: Job) -> list[object]:
    """Each job's answer or failure."""
    async with asyncio.timeout(10):
        return await asyncio.gather(*(each.answer for each in jobs), return_exceptions=True)


def add(writer: TabWriter, *jobs: Job) -> tuple[Job, ...]:
    for each in jobs:
        writer.add(each)
    return jobs


async def test_what_is_gathered_goes_in_order_and_in_groups(
    writer: TabWriter, google: Google
) -> None:
    jobs = add(writer, *(job(str(number)) for number in range(20)))
    assert await ends(*jobs) == [DONE] * 20
    assert [len(group) for group in google.groups] == [8, 8, 4]
    assert list(chain.from_iterable(google.groups)) == [str(number) for number in range(20)]


async def test_what_does_not_go_together_keeps_its_place(writer: TabWriter, google: Google) -> None:
    jobs = add(writer, job("a"), job("b"), job("c", "lookup"), job("d"), job("e", "lookup"))
    await ends(*jobs)
    assert google.groups == [["a", "b"], ["c"], ["d"], ["e"]]


async def test_a_group_has_its_size(writer: TabWriter, google: Google) -> None:
    cells = {"text": "x" * 900}
    jobs = add(writer, *(job(str(number), cells=cells) for number in range(5)))
    await ends(*jobs)
    assert [len(group) for group in google.groups] == [2, 2, 1]


async def test_what_comes_meanwhile_goes_next(writer: TabWriter, google: Google) -> None:
    gate = asyncio.Event()
    google.gate = gate.wait()
    first = add(writer, job("a"))
    while not google.groups:
        await asyncio.sleep(0)
    google.gate, later = None, add(writer, job("b"), job("c"))
    gate.set()
    await ends(*first, *later)
    assert google.groups == [["a"], ["b", "c"]]


async def test_one_bad_row_is_found_and_the_others_go_on(writer: TabWriter, google: Google) -> None:
    google.refuses = lambda each: each.key == "5"
    jobs = add(writer, *(job(str(number)) for number in range(8)))
    answers = await ends(*jobs)
    assert [answer == DONE for answer in answers] == [key != 5 for key in range(8)]
    assert isinstance(answers[5], PermanentError)
    assert len(google.groups) < 12


@pytest.mark.parametrize(
    "failure",
    [ActionRequired(Code.NO_PERMISSION, "no"), PermanentError(Code.FULL, "full")],
)
async def test_what_concerns_all_is_told_all_at_once(
    writer: TabWriter, google: Google, failure: AttemptFailure
) -> None:
    google.answers = [failure]
    jobs = add(writer, *(job(str(number)) for number in range(8)))
    assert await ends(*jobs) == [failure] * 8
    assert len(google.groups) == 1


@pytest.mark.parametrize(
    "failure",
    [
        ThrottledError(Code.QUOTA, "later", retry_after=0.05),
        RetryableError(Code.UNAVAILABLE, "away"),
        OutcomeUnknown(Code.NO_ANSWER, "lost"),
        Busy(),
    ],
)
async def test_what_passes_is_tried_again_by_itself(
    writer: TabWriter, google: Google, failure: AttemptFailure
) -> None:
    google.answers = [failure, failure]
    jobs = add(writer, job("a"), job("b"))
    assert await ends(*jobs) == [DONE, DONE]
    assert google.groups == [["a", "b"]] * 3


async def test_who_has_waited_long_enough_is_told(writer: TabWriter, google: Google) -> None:
    google.answers = [ThrottledError(Code.QUOTA, "later", retry_after=30.0)]
    short, patient = job("a", seconds=0.5), job("b", seconds=600)
    impatient = job("c", seconds=600, patience=5.0)
    add(writer, short, patient, impatient)
    told = await ends(short, impatient)
    assert all(isinstance(each, ThrottledError) and each.retry_after > 25 for each in told)
    assert not patient.over, "it waits on"


async def test_a_row_that_may_be_in_the_sheet_goes_nowhere_else(
    writer: TabWriter, google: Google
) -> None:
    """However impatient: it is told when its time is over, and that nobody knows."""
    google.answers = [Busy(["a"], looked=True)] * 1000
    uncertain = job("a", seconds=1.0, patience=0.0)
    other = job("b", seconds=600, patience=0.0)
    add(writer, uncertain, other)
    (told,) = await ends(other)
    assert isinstance(told, RetryableError)
    assert told.code == Code.UNAVAILABLE
    assert not uncertain.over
    (unknown,) = await ends(uncertain)
    assert isinstance(unknown, OutcomeUnknown)
    assert unknown.code == Code.NO_ANSWER


async def test_a_fault_of_ours_fails_its_group_only(writer: TabWriter, google: Google) -> None:
    def break_once(each: Job) -> bool:
        if each.key == "a":
            raise ZeroDivisionError
        return False

    google.refuses = break_once
    (broken,) = await ends(*add(writer, job("a")))
    assert isinstance(broken, ZeroDivisionError)
    assert await ends(*add(writer, job("b"))) == [DONE]


async def test_who_is_gone_leaves_the_group(writer: TabWriter, google: Google) -> None:
    gone, stays = job("a"), job("b")
    gone.answer.cancel()
    add(writer, gone, stays)
    assert await ends(stays) == [DONE]
    assert google.groups == [["b"]]


@pytest.mark.parametrize("failure", [RetryableError(Code.UNAVAILABLE, "away"), Busy(looked=True)])
async def test_hours_of_failures_do_not_stop_the_tab(
    writer: TabWriter, google: Google, failure: AttemptFailure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2.0 ** 1024 is no float."""
    monkeypatch.setattr("sheets_worker.writer.LONGEST_PAUSE", 0.0)
    google.answers = [failure] * 1200
    assert await ends(*add(writer, job("a", seconds=600))) == [DONE]
    assert len(google.groups) == 1201
