"""The crew: boxes are shared, killed, replaced and used up, and leave nothing behind."""

import asyncio
import gc
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from code_runner.crew import Crew
from code_runner.process import BoxDied
from code_runner.rehearsal import MEGABYTE, Machine, open_machine

ECHO = {
    "python": "def main(input):\n    return input",
    "javascript": "function main(input) { return input }",
}
BUSY = {
    "python": "def main(input):\n    while True: pass",
    "javascript": "function main(input) { while (true); }",
}
ASLEEP = {
    "python": "import time\ndef main(input):\n    time.sleep(60)",
    "javascript": (
        "async function main(input) { await new Promise(done => setTimeout(done, 60000)) }"
    ),
}
LANGUAGES = tuple(ECHO)
# Of all processes, after a thousand runs.
MOST_GROWTH = MEGABYTE


async def test_a_box_that_is_killed_is_replaced(machine: Machine) -> None:
    before = set(machine.crew.pids)
    running = asyncio.create_task(machine.run("python", ASLEEP["python"], seconds=9))
    await asyncio.sleep(0.3)
    for pid in before:
        psutil.Process(pid).kill()
    with pytest.raises(BoxDied):
        await running
    async with asyncio.timeout(20):
        while before & set(machine.crew.pids) or len(machine.crew.pids) < len(before):
            await asyncio.sleep(0.05)
    assert (await machine.run("python", ECHO["python"], 1)).verdict.result == 1


async def test_no_workspace_has_all_boxes(machine: Machine) -> None:
    hogs = [
        asyncio.create_task(machine.run("python", ASLEEP["python"], seconds=8, workspace="greedy"))
        for _ in range(6)
    ]
    await asyncio.sleep(0.2)
    async with asyncio.timeout(4):
        other = await machine.run("python", ECHO["python"], 1, workspace="other")
    assert other.verdict.result == 1
    assert not any(hog.done() for hog in hogs)
    for hog in hogs:
        hog.cancel()
    await asyncio.gather(*hogs, return_exceptions=True)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_thousand_runs_leave_memory_and_descriptors_flat(
    machine: Machine, language: str
) -> None:
    async def run(times: int) -> None:
        for _ in range(times // 20):
            await asyncio.gather(*(machine.run(language, ECHO[language], 1) for _ in range(20)))

    await run(200)
    processes = [psutil.Process(), *map(psutil.Process, machine.crew.pids)]
    before = [use_of(process) for process in processes]
    await run(1000)
    after = [use_of(process) for process in processes]
    assert {each.pid for each in processes[1:]} == set(machine.crew.pids)
    assert [each[1:] for each in after] == [each[1:] for each in before]
    assert sum(each.memory for each in after) < sum(each.memory for each in before) + MOST_GROWTH


class Use(NamedTuple):
    """What a process holds; the memory is its own, without what it shares."""

    memory: int
    descriptors: int
    threads: int


def use_of(process: psutil.Process) -> Use:
    gc.collect()
    return Use(process.memory_full_info().uss, process.num_fds(), process.num_threads())


async def test_boxes_are_replaced_after_so_many_runs(artefacts: Mapping[str, Path]) -> None:
    async with open_machine(artefacts, boxes=2, runs_per_box=5) as machine:
        seen = set(machine.crew.pids)
        for number in range(40):
            ran = await machine.run("javascript", ECHO["javascript"], number)
            assert ran.verdict.result == number
            seen |= set(machine.crew.pids)
        # Forty runs use up at least eight boxes of five; no more are alive than there should be.
        assert len(seen) >= 8
        async with asyncio.timeout(20):
            while len(machine.crew.pids) != 3:
                await asyncio.sleep(0.05)
        gone = seen - set(machine.crew.pids)
        assert not [pid for pid in gone if psutil.pid_exists(pid)]
    assert machine.crew.kills == 0


@pytest.mark.parametrize("codes", [BUSY, ASLEEP], ids=["busy", "asleep"])
@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_time_out_ends_within_half_a_second_of_its_limit(
    machine: Machine, language: str, codes: dict[str, str]
) -> None:
    """The best of a few: other programs may hold one up, a limit that is wrong holds up all."""
    over = []
    for _ in range(4):
        begun = time.monotonic()
        ran = await machine.run(language, codes[language], seconds=0.4)
        assert ran.verdict.outcome == "timeout"
        over.append(time.monotonic() - begun - 0.4)
        if 0 <= over[-1] < 0.5:
            return
    pytest.fail(f"over its limit by {over}")


async def test_a_workspace_has_as_many_boxes_as_it_may(artefacts: Mapping[str, Path]) -> None:
    crew = Crew(artefacts, boxes=3, runs_per_box=100, most_of={"small": 1, "large": 2}.__getitem__)
    try:
        await crew.start()
        async with crew.place_for("small"), crew.place_for("large"):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1), crew.place_for("small"):
                    pytest.fail("it has one already")
            async with crew.place_for("large"):
                pass
    finally:
        await crew.close()


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def files_of(pid: int) -> list[str]:
    """What a box has open but sockets, pipes, its guests and the page of its logs."""
    targets = [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]
    known = (".cwasm", "/dev/null", "/memfd:mirsal-logs (deleted)")
    return [each for each in targets if each.startswith("/") and not each.endswith(known)]


async def test_a_box_has_nothing_that_it_needs_not(machine: Machine) -> None:
    for pid in machine.crew.pids:
        status = status_of(pid)
        assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
        assert "0" not in status["Uid"].split()
        if os.getuid() == 0:
            assert int(status["CapBnd"], 16) == 0
            assert Path(f"/proc/{pid}/environ").read_bytes() == b""  # noqa: ASYNC240 - no disk
            assert files_of(pid) == []
