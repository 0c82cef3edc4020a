"""Where one service's CPU time goes during a burst: py-spy's samples, summed up."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections import Counter
from typing import TYPE_CHECKING

from mirsal_testing.bench.measure import Scenario, measure
from mirsal_testing.bench.product import Connector, Product
from mirsal_testing.bench.target import BenchError
from mirsal_testing.servers.cache import cache_folder

if TYPE_CHECKING:
    from pathlib import Path

    from mirsal_testing.bench.figures import Figures
    from mirsal_testing.bench.program import Program
    from mirsal_testing.servers import Servers

SAMPLES_PER_SECOND = 200
SHOWN = 40
_LINE = re.compile(r":\d+\)$")


def find_py_spy() -> list[str]:
    """The command, from the PATH or fetched by uv. Raises `BenchError`."""
    if shutil.which("py-spy"):
        return ["py-spy"]
    for uv in ("uv", str(cache_folder() / "uv" / "bin" / "uv")):
        if shutil.which(uv):
            return [uv, "tool", "run", "py-spy"]
    raise BenchError("profiling needs py-spy: install it, or have uv on the PATH")


async def profile(
    servers: Servers,
    folder: Path,
    program: Program,
    part: str,
    stacks: Path,
    *,
    connector: Connector,
) -> Figures:
    """Sample the first process of `part` (`gateway`, `orchestrator`, ...) during a burst.

    Writes py-spy's collapsed stacks, one `frame;frame;... count` a line, to `stacks`.
    """
    py_spy = find_py_spy()
    target = Product(servers, servers.postgres.url, folder, connector=connector, environment={})
    async with target:
        await measure(target, Scenario("warm-up", program.warm_up, program.connections), folder)
        pids = target.pids(part)
        if not pids:
            raise BenchError(f"no process is called {part}")
        sampler = await asyncio.create_subprocess_exec(
            *py_spy,
            *("record", "--pid", str(pids[min(pids)]), "--rate", str(SAMPLES_PER_SECOND)),
            *("--format", "raw", "--output", str(stacks), "--nonblocking"),
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            return await measure(target, Scenario("burst", program.burst), folder)
        finally:
            if sampler.returncode is None:
                sampler.send_signal(2)
            await sampler.wait()


def sum_up(stacks: str) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """The functions with most samples, alone and with all that they called, as parts of 1."""
    alone: Counter[str] = Counter()
    with_calls: Counter[str] = Counter()
    total = 0
    for line in stacks.splitlines():
        frames, _, count = line.rpartition(" ")
        total += int(count)
        names = [_LINE.sub(")", frame) for frame in frames.split(";")]
        alone[names[-1]] += int(count)
        for name in set(names):
            with_calls[name] += int(count)

    def parts(counter: Counter[str]) -> list[tuple[str, float]]:
        return [(name, count / max(total, 1)) for name, count in counter.most_common(SHOWN)]

    return parts(alone), parts(with_calls)
