"""What a user sees of a run: results, logs, mistakes with their places, the limits."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
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
        ("python", "def main(i):\n    return 'مرحبا' + i['x']", "KeyError", (2, 22)),
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


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_a_line_that_was_begun_is_there_after_a_mistake(
    machine: Machine, stream: str
) -> None:
    code = f"import sys\ndef main(input):\n    print('begun', end='', file=sys.{stream})\n    1 / 0"
    ran = await machine.run("python", code)
    assert (ran.verdict.outcome, ran.logs) == ("user_error", "begun")


async def test_logs_are_cut_at_their_limit(machine: Machine) -> None:
    code = "def main(input):\n    for n in range(20000): print('0123456789')\n    return 1"
    ran = await machine.run("python", code, seconds=10)
    assert ran.truncated
    assert len(ran.logs.encode()) == 64 * 1024
    assert ran.verdict.result == 1
