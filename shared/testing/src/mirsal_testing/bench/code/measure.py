"""Carries out all paces on both targets: figures of the same shape as the runs'."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil

from mirsal_testing.bench.code.targets import open_bare, open_service
from mirsal_testing.bench.code.workload import (
    LANGUAGES,
    TIME_OUT_SECONDS,
    Pace,
    make_endless,
)
from mirsal_testing.bench.figures import Figures, ProcessUse, middle, spread_of
from mirsal_testing.bench.usage import Meter, share_of_others
from mirsal_testing.bench.verdict import BURST, CODE_RATE, Bar, at_most, code_targets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mirsal_testing.bench.code.targets import CodeTarget, Execution, Service
    from mirsal_testing.bench.code.workload import Language
    from mirsal_testing.bench.program import Program
    from mirsal_testing.bench.usage import Reading
    from mirsal_testing.servers import Servers

MEGABYTE = 1_000_000
# The service's own memory goes up and down by some MB; of the boxes a test demands far less.
MOST_GROWTH = 8.0


async def measure_code(
    servers: Servers, folder: Path, program: Program, on_figures: Callable[[Figures], None]
) -> tuple[list[Figures], list[Bar]]:
    """Both languages, in the bare boxes and through the service. Raises `BenchError`.

    The bars are those that are not figures: time-outs, and what many runs leave behind.
    """
    found: list[Figures] = []
    bars: list[Bar] = []
    async with open_bare() as bare, open_service(servers, folder) as service:
        for language in LANGUAGES:
            ours, ceiling = code_targets(language)
            for target, name in ((bare, ceiling), (service, ours)):
                for figures in await _measure_one(target, language, name, program):
                    found.append(figures)
                    on_figures(figures)
            bars += await _check_conduct(service, language, program.code_in_a_row)
    return found, bars


async def _check_conduct(service: Service, language: Language, runs: int) -> list[Bar]:
    """That time-outs end, and that many runs leave nothing behind."""
    longest = round(
        max([await service.time_out(each) for each in make_endless(language).values()]), 3
    )
    # A box that was killed is being replaced, and the new one has used nothing yet.
    await service.carry_out(Pace(language=language, count=runs // 2))
    before = service.use()
    await service.carry_out(Pace(language=language, count=runs))
    after = service.use()
    megabytes = round((after.memory - before.memory) / MEGABYTE, 2)
    descriptors = after.descriptors - before.descriptors
    limit = TIME_OUT_SECONDS + 0.5
    what = f"{language} code, {runs} runs in a row"
    return [
        at_most(
            f"{language} code, s until a limit of {TIME_OUT_SECONDS} s has ended it", limit, longest
        ),
        at_most(f"{what}, MB of memory more", MOST_GROWTH, megabytes),
        at_most(f"{what}, descriptors more", 1, descriptors),
    ]


async def _measure_one(
    target: CodeTarget, language: Language, name: str, program: Program
) -> list[Figures]:
    burst = Pace(language=language, count=program.code_burst)
    paced = Pace(language=language, count=CODE_RATE * program.paced_seconds, rate=CODE_RATE)
    await target.carry_out(Pace(language=language, count=program.code_warm_up))
    bursts = [await _measure(target, burst, name, BURST) for _ in range(program.repeat)]
    return [middle(bursts), await _measure(target, paced, name, f"{CODE_RATE}/s")]


async def _measure(target: CodeTarget, pace: Pace, name: str, scenario: str) -> Figures:
    meter, own = Meter(target.processes()), psutil.Process()
    before, own_before = meter.read(time.time()), own.cpu_times()
    executions = await target.carry_out(pace)
    after, own_after = meter.read(time.time()), own.cpu_times()
    client = own_after.user + own_after.system - own_before.user - own_before.system
    uses = meter.uses(before, after)
    beside = {
        "load generator": ProcessUse(
            cpu_seconds=round(client, 3), memory_bytes=own.memory_info().rss
        )
    }
    return _figures(name, scenario, executions, uses, beside, before, after)


def _figures(
    name: str,
    scenario: str,
    executions: Sequence[Execution],
    uses: dict[str, ProcessUse],
    beside: dict[str, ProcessUse],
    before: Reading,
    after: Reading,
) -> Figures:
    first = min(each.due for each in executions)
    seconds = max(each.ended for each in executions) - first
    cpu = sum(use.cpu_seconds for use in uses.values())
    ours = cpu + sum(use.cpu_seconds for use in beside.values())
    return Figures(
        target=name,
        scenario=scenario,
        runs=len(executions),
        seconds=round(seconds, 3),
        runs_per_second=round(len(executions) / seconds, 1),
        to_end=spread_of([each.ended - each.due for each in executions]),
        post=spread_of([each.accepted - each.due for each in executions]),
        cpu_ms_per_run=round(cpu / len(executions) * 1000, 2),
        processes=uses,
        beside=beside,
        others_cpu_share=share_of_others(before, after, ours=ours),
    )
