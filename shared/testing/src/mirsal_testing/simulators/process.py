"""Runs one simulator as a process of its own until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import sys
from typing import TYPE_CHECKING

import uvloop

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager


async def _serve(simulator: AbstractAsyncContextManager[object]) -> None:
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    async with simulator:
        # Everything recorded stays alive: without this the collector walks all of it, again and
        # again, and costs more than the calls themselves.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 1000)
        announce(f"{simulator} ready")
        await asked_to_stop.wait()
    announce(f"{simulator} stopped")


def announce(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run(simulator: AbstractAsyncContextManager[object]) -> None:
    """Returns after SIGTERM or SIGINT, when the answers under way are out."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(simulator))


def cpu_seconds() -> float:
    """CPU time of this process so far: benchmarks show the simulators' part apart."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
