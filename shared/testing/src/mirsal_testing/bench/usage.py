"""CPU time and memory of processes by name, and of everything else on the machine."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from mirsal_testing.bench.figures import ProcessUse
from mirsal_testing.bench.target import BenchError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class Reading:
    """CPU seconds so far: of each name, and of all that ran on this machine."""

    cpu: Mapping[str, float]
    machine: float
    time: float


class Meter:
    """Reads what processes used between two moments.

    A name stands for a process and its descendants, without those that have a name themselves.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._named = frozenset(pids.values())

    def read(self, now: float) -> Reading:
        """The counters at this moment; `now` in seconds.

        Raises `BenchError` if a process with a name has ended.
        """
        dead = [name for name, process in self._processes.items() if not process.is_running()]
        if dead:
            raise BenchError(f"ended while it was measured: {', '.join(dead)}")
        cpu = {name: self._cpu_of(process) for name, process in self._processes.items()}
        times = psutil.cpu_times()
        machine = times.user + times.nice + times.system + times.irq + times.softirq
        return Reading(cpu, machine, now)

    def uses(self, before: Reading, after: Reading) -> dict[str, ProcessUse]:
        """What each name used in between, and the memory that it holds now."""
        return {
            name: ProcessUse(
                cpu_seconds=round(after.cpu[name] - before.cpu[name], 3),
                memory_bytes=self._memory_of(process),
            )
            for name, process in self._processes.items()
        }

    def _family(self, process: psutil.Process) -> Iterator[psutil.Process]:
        yield process
        with suppress(psutil.NoSuchProcess):
            for child in process.children():
                if child.pid not in self._named:
                    yield from self._family(child)

    def _cpu_of(self, process: psutil.Process) -> float:
        """Of the process, its living descendants, and those that ended and were waited for."""
        own = process.cpu_times()
        total = own.children_user + own.children_system
        for member in self._family(process):
            with suppress(psutil.NoSuchProcess):
                times = member.cpu_times()
                total += times.user + times.system
        return float(total)

    def _memory_of(self, process: psutil.Process) -> int:
        """Resident memory; what the members of a family share counts once."""
        family = list(self._family(process))
        if len(family) == 1:
            return int(process.memory_info().rss)
        total = 0
        for member in family:
            with suppress(psutil.NoSuchProcess):
                total += int(member.memory_full_info().pss)
        return total


def share_of_others(before: Reading, after: Reading, *, ours: float) -> float:
    """The part of this machine's CPU time that went to none of ours, from 0 to 1."""
    available = (after.time - before.time) * (os.cpu_count() or 1)
    others = after.machine - before.machine - ours
    return round(max(0.0, others / available), 3)
