"""What a benchmark consists of: which targets, under which load, and what is worked out of it."""

from __future__ import annotations

import asyncio
import os
import platform
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from mirsal_runtime.vault.keys import write_new_key
from pydantic import BaseModel

from mirsal_testing.bench.code.measure import measure_code
from mirsal_testing.bench.figures import Figures, middle
from mirsal_testing.bench.measure import Scenario, measure
from mirsal_testing.bench.product import Product
from mirsal_testing.bench.raw.pipeline import RawPipeline
from mirsal_testing.bench.target import BenchError
from mirsal_testing.bench.verdict import (
    BURST,
    CODE_RATES,
    TRACED,
    Bar,
    Ratio,
    check_bars,
    code_targets,
    compare,
)
from mirsal_testing.otlp import OtlpReceiver
from mirsal_testing.servers import choose_servers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from mirsal_testing.bench.target import Target
    from mirsal_testing.servers import Servers


# Of one run's spans at least.
TRACE_BYTES = 2000
CODE_NAMES = [name for language in CODE_RATES for name in code_targets(language)]


@dataclass(frozen=True)
class Program:
    """How much is measured. `paced` are rates a second, each held for `paced_seconds`.

    What begins with `code_` is for customers' code.
    """

    burst: int = 5_000
    connections: int = 64
    repeat: int = 3
    paced: tuple[int, ...] = (50, 200)
    paced_seconds: int = 20
    warm_up: int = 500
    code_burst: int = 1_500
    code_warm_up: int = 1_000
    code_in_a_row: int = 1_000

    def scenarios(self) -> list[tuple[Scenario, int]]:
        """Each with how often it is measured."""
        bursts = (Scenario(BURST, self.burst, self.connections), self.repeat)
        paced = [
            (Scenario(f"{rate}/s", rate * self.paced_seconds, self.connections, rate), 1)
            for rate in self.paced
        ]
        return [bursts, *paced]


QUICK = Program(
    burst=300,
    connections=16,
    repeat=1,
    paced=(50,),
    paced_seconds=3,
    warm_up=50,
    code_burst=60,
    code_warm_up=10,
    code_in_a_row=60,
)


class Machine(BaseModel):
    """Where it was measured."""

    cores: int
    python: str
    system: str
    load_before: float


class Results(BaseModel):
    """All that `--json` writes."""

    machine: Machine
    figures: list[Figures]
    ratios: list[Ratio]
    bars: list[Bar]


async def carry_out(
    program: Program,
    on_figures: Callable[[Figures], None],
    *,
    only: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Results:
    """Measure all targets, one after the other, on the same servers.

    `only` keeps the targets whose name contains one of these words. `environment` is for the
    platform's services. Raises `BenchError`.
    """
    machine = describe_machine()
    found: list[Figures] = []
    bars: list[Bar] = []
    async with open_servers() as (servers, folder):
        collector = OtlpReceiver()
        for target in make_targets(servers, folder, environment or {}, collector.url):
            if only and not any(word in target.name for word in only):
                continue
            names = {scenario.name for scenario, _ in program.scenarios()}
            if target.only_scenario and target.only_scenario not in names:
                continue
            async with target:
                for figures in await measure_target(target, program, folder):
                    found.append(figures)
                    on_figures(figures)
                    if target.name.endswith(TRACED):
                        _check_traces(collector, figures)
        collector.close()
        if not only or any(word in name for name in CODE_NAMES for word in only):
            figures_of_code, bars = await measure_code(servers, folder, program, on_figures)
            found += figures_of_code
    bars = [*check_bars(found), *bars]
    return Results(machine=machine, figures=found, ratios=compare(found), bars=bars)


async def measure_target(target: Target, program: Program, folder: Path) -> list[Figures]:
    """All scenarios on one running target, after a warm-up that nobody sees."""
    await measure(target, Scenario("warm-up", program.warm_up, program.connections), folder)
    found = []
    for scenario, times in program.scenarios():
        if target.only_scenario not in {"", scenario.name}:
            continue
        found.append(middle([await measure(target, scenario, folder) for _ in range(times)]))
    return found


def make_targets(
    servers: Servers, folder: Path, environment: Mapping[str, str], collector: str
) -> list[RawPipeline | Product]:
    """The bare pipeline and the platform, without and with the provider; with calls counted against
    a limit; and with all traced."""
    database = servers.postgres.url
    # They are stacks on one database: what one has sealed, the next must be able to open.
    environment = {"MIRSAL_VAULT_KEYS": write_new_key("bench"), **environment}
    return [
        RawPipeline(servers, database, folder, provider=False),
        Product(servers, database, folder, connector="noop", environment=environment),
        Product(servers, database, folder, connector="noop", environment=environment, limited=True),
        RawPipeline(servers, database, folder, provider=True),
        Product(servers, database, folder, connector="whatsapp", environment=environment),
        Product(
            servers,
            database,
            folder,
            connector="whatsapp",
            environment=environment,
            collector=collector,
        ),
    ]


def _check_traces(collector: OtlpReceiver, figures: Figures) -> None:
    """Raises `BenchError` where so little came that not all can have been traced."""
    size = sum(map(len, collector.bodies))
    if size < figures.runs * TRACE_BYTES:
        raise BenchError(f"{figures.target}: the collector has {size} bytes of {figures.runs} runs")
    collector.bodies.clear()


@asynccontextmanager
async def open_servers() -> AsyncIterator[tuple[Servers, Path]]:
    """Fresh servers in a folder of their own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mirsal-bench-") as name:
        folder = Path(name)
        # PostgreSQL may run as another user.
        folder.chmod(0o711)  # noqa: ASYNC240 - a moment, before anything is measured
        servers = choose_servers(folder / "servers")
        try:
            await asyncio.gather(*(server.start() for server in servers.all))
            yield servers, folder
        finally:
            for server in servers.all:
                await server.stop()


def describe_machine() -> Machine:
    """This machine, before anything of ours runs."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        python=platform.python_version(),
        system=platform.platform(terse=True),
        load_before=round(psutil.getloadavg()[0], 2),
    )
