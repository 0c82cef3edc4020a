"""Carries out one scenario on one target: load, wait for the last run, figures."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import psutil

from mirsal_testing.bench.figures import Figures, ProcessUse, spread_of
from mirsal_testing.bench.load import READY_LINE, Plan, Report
from mirsal_testing.bench.target import BenchError
from mirsal_testing.bench.usage import Meter, Reading, share_of_others

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mirsal_testing.bench.load import Post
    from mirsal_testing.bench.target import Target

STALL_SECONDS = 60.0
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Scenario:
    """How the load comes: `count` runs, at `rate` a second or as fast as the answers."""

    name: str
    count: int
    connections: int = 64
    rate: float | None = None


async def measure(target: Target, scenario: Scenario, folder: Path) -> Figures:
    """Raises `BenchError` if a POST was refused, or a run was lost, doubled or stuck.

    The load generator's report is left in `folder`.
    """
    plan = Plan(
        url=target.url,
        headers=dict(target.headers),
        body=target.body,
        leads=target.leads,
        count=scenario.count,
        connections=scenario.connections,
        rate=scenario.rate,
        report=folder / "load.json",
    )
    meter = Meter({**target.platform(), **target.beside()})
    generator = await _start_generator(plan)
    try:
        await target.mark()
        before, self_before = meter.read(time.time()), psutil.Process().cpu_times()
        await _generate(generator)
        report = Report.model_validate_json(plan.report.read_bytes())
        await _until_ended(target, scenario.count)
        after, self_after = meter.read(time.time()), psutil.Process().cpu_times()
    finally:
        if generator.returncode is None:
            generator.kill()
            await generator.wait()
    uses = meter.uses(before, after)
    ours = sum(use.cpu_seconds for use in uses.values()) + report.cpu_seconds
    ours += self_after.user + self_after.system - self_before.user - self_before.system
    uses["load generator"] = ProcessUse(
        cpu_seconds=round(report.cpu_seconds, 3), memory_bytes=report.memory_bytes
    )
    ends = await target.read_ends()
    _check(report.posts, ends)
    return _figures(target, scenario, report.posts, ends, uses, before, after, ours)


async def _start_generator(plan: Plan) -> asyncio.subprocess.Process:
    generator = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mirsal_testing.bench.load", stdin=PIPE, stdout=PIPE
    )
    commands, answers = generator.stdin, generator.stdout
    if commands is None or answers is None:
        raise BenchError("the load generator has no pipes")
    commands.write(plan.model_dump_json().encode() + b"\n")
    if await answers.readline() != READY_LINE:
        raise BenchError("the load generator did not get its connections; see its error above")
    return generator


async def _generate(generator: asyncio.subprocess.Process) -> None:
    await generator.communicate(b"\n")
    if generator.returncode:
        raise BenchError("the load generator failed; see its error above")


async def _until_ended(target: Target, runs: int) -> None:
    best, progress = -1, time.monotonic()
    while (ended := await target.count_ended()) < runs:
        if ended > best:
            best, progress = ended, time.monotonic()
        if time.monotonic() > progress + STALL_SECONDS:
            raise BenchError(
                f"{target.name}: {ended} of {runs} runs ended, then none for {STALL_SECONDS:.0f} s"
            )
        await asyncio.sleep(POLL_SECONDS)


def _check(posts: Sequence[Post], ends: Mapping[str, float]) -> None:
    refused = [post for post in posts if post.status != HTTPStatus.ACCEPTED]
    if refused:
        raise BenchError(f"{len(refused)} POSTs were refused, the first with {refused[0].status}")
    lost = [post.run_id for post in posts if post.run_id not in ends]
    if lost:
        raise BenchError(f"{len(lost)} runs did not end, among them {lost[0]}")


def _figures(
    target: Target,
    scenario: Scenario,
    posts: Sequence[Post],
    ends: Mapping[str, float],
    uses: Mapping[str, ProcessUse],
    before: Reading,
    after: Reading,
    ours: float,
) -> Figures:
    seconds = max(ends[post.run_id] for post in posts) - min(post.due for post in posts)
    processes = {name: uses[name] for name in target.platform()}
    cpu = sum(use.cpu_seconds for use in processes.values())
    return Figures(
        target=target.name,
        scenario=scenario.name,
        runs=len(posts),
        seconds=round(seconds, 3),
        runs_per_second=round(len(posts) / seconds, 1),
        to_end=spread_of([ends[post.run_id] - post.due for post in posts]),
        post=spread_of([post.answered - post.due for post in posts]),
        cpu_ms_per_run=round(cpu / len(posts) * 1000, 2),
        processes=processes,
        beside={name: use for name, use in uses.items() if name not in processes},
        others_cpu_share=share_of_others(before, after, ours=ours),
    )
