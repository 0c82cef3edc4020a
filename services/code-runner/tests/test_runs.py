"""What a user sees of a run: results, logs, mistakes with their places, the limits."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from code_runner.process import BoxDied
from code_runner.rehearsal import Machine

ECHO = {
    "python": "def main(input):\n    print('سطر')\n    return input",
    "javascript": "function main(input) { console.log('سطر'); return input }",
}
BUSY = {
    "python": "def main(input):\n    print('before', flush=True)\n    while True: pass",
    "javascript": "function main(input) { console.log('before'); while (true); }",
}
ASLEEP = {
    "python": "import time\ndef main(input):\n    print('before')\n    time.sleep(60)",
    "javascript": (
        "async function main(input) { console.log('before');"
        " await new Promise(done => setTimeout(done, 60000)) }"
    ),
}
LANGUAGES = tuple(ECHO)
PROGRAMS = json.loads((Path(__file__).parent / "data" / "programs.json").read_text("utf-8"))
GIVEN: dict[str, Any] = {"name": "أحمد", "n": [1, 2.5, None, True], "deep": {"x": {"y": "z"}}}


@pytest.mark.parametrize("language", LANGUAGES)
async def test_result_and_logs_come_back(machine: Machine, language: str) -> None:
    ran = await machine.run(language, ECHO[language], GIVEN)
    assert (ran.verdict.outcome, ran.verdict.result) == ("ok", GIVEN)
    assert (ran.logs, ran.truncated) == ("سطر\n", False)


@pytest.mark.parametrize(("language", "code", "result"), PROGRAMS["languages"])
async def test_the_languages_work(machine: Machine, language: str, code: str, result: Any) -> None:
    ran = await machine.run(language, code)
    assert (ran.verdict.outcome, ran.verdict.result) == ("ok", result), ran


@pytest.mark.parametrize(
    ("language", "code", "kind", "place"),
    [
        ("python", "def main(input):\n    return input['x']", "KeyError", (2, 12)),
        ("python", "def main(input:\n    pass", "SyntaxError", (1, 9)),
        ("python", "import numpy\ndef main(input): pass", "ModuleNotFoundError", (1, 1)),
        ("javascript", "function main(input) {\n  return input.x.y;\n}", "TypeError", (2, 3)),
        ("javascript", "function main(input) {\n  let x = ;\n}", "SyntaxError", (2, 11)),
        ("javascript", "function main(i) {\n  return nobody\n}", "ReferenceError", (2, 3)),
    ],
)
async def test_a_mistake_has_a_place(
    machine: Machine, language: str, code: str, kind: str, place: tuple[int, int]
) -> None:
    ran = await machine.run(language, code, {})
    error = ran.verdict.error or {}
    assert ran.verdict.outcome == "user_error"
    assert (error["type"], error["line"], error["column"]) == (kind, *place)
    assert "guest" not in str(error.get("traceback"))


@pytest.mark.parametrize("language", LANGUAGES)
async def test_nothing_is_left_for_the_next_run(machine: Machine, language: str) -> None:
    leave = PROGRAMS["leave"]
    for _ in range(6):
        assert (await machine.run(language, leave[language])).verdict.result == 0


async def test_randomness_and_clock_are_alive(machine: Machine) -> None:
    for language, code in PROGRAMS["alive"].items():
        first, second = [(await machine.run(language, code)).verdict.result for _ in range(2)]
        assert isinstance(first, list)
        assert isinstance(second, list)
        assert first[0] != second[0]
        assert first[2] != second[2]
        assert abs(float(str(first[1])) - time.time()) < 60


@pytest.mark.parametrize("codes", [BUSY, ASLEEP], ids=["busy", "asleep"])
@pytest.mark.parametrize("language", LANGUAGES)
async def test_time_runs_out_and_the_logs_stay(
    machine: Machine, language: str, codes: dict[str, str]
) -> None:
    ran = await machine.run(language, codes[language], seconds=0.5)
    assert ran.verdict.outcome == "timeout"
    assert ran.logs == "before\n"
    assert (await machine.run(language, ECHO[language], 1)).verdict.result == 1
    # What overran inside the guest was interrupted; what slept outside of it cost its box.
    assert machine.crew.kills == (1 if codes is ASLEEP else 0)


async def test_logs_are_cut_at_their_limit(machine: Machine) -> None:
    code = "def main(input):\n    for n in range(20000): print('0123456789')\n    return 1"
    ran = await machine.run("python", code, seconds=10)
    assert ran.truncated
    assert len(ran.logs.encode()) == 64 * 1024
    assert ran.verdict.result == 1


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
async def test_many_runs_leave_memory_and_descriptors_flat(machine: Machine, language: str) -> None:
    async def run(times: int) -> None:
        await asyncio.gather(*(machine.run(language, ECHO[language], GIVEN) for _ in range(times)))

    await run(60)
    boxes = [psutil.Process(pid) for pid in machine.crew.pids]
    memory = sum(box.memory_info().rss for box in boxes)
    own = count_descriptors()
    await run(300)
    assert {box.pid for box in boxes} == set(machine.crew.pids)
    assert sum(box.memory_info().rss for box in boxes) < memory + 12 * 1024 * 1024 * len(boxes)
    assert count_descriptors() == own


def count_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


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
