"""Carries out all paces on both targets: figures of the same shape as the runs'."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil

from mirsal_testing.bench.code.targets import open_bare, open_service
from mirsal_testing.bench.code.workload import LANGUAGES, Pace
from mirsal_testing.bench.figures import Figures, ProcessUse, middle, spread_of
from mirsal_testing.bench.usage import Meter, share_of_others
from mirsal_testing.bench.verdict import BURST, CODE_RATE, code_targets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mirsal_testing.bench.code.targets import CodeTarget, Execution
    from mirsal_testing.bench.code.workload import Language
    from mirsal_testing.bench.program import Program
    from mirsal_testing.bench.usage import Reading
    from mirsal_testing.servers import Servers


async def measure_code(
    servers: Servers, folder: Path, program: Program, on_figures: Callable[[Figures], None]
) -> list[Figures]:
    """Both languages, in the bare boxes and through the service. Raises `BenchError`."""
    found: list[Figures] = []
    async with open_bare() as bare:
        for language in LANGUAGES:
            found += await _measure_one(bare, language, code_targets(language)[1], program)
    async with open_service(servers, folder) as service:
        for language in LANGUAGES:
            found += await _measure_one(service, language, code_targets(language)[0], program)
    for figures in found:
        on_figures(figures)
    return found


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
