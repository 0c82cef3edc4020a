"""The local stack with throw-away services on real servers: up, restarts, down, orphans."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from mirsal_testing.servers.probes import http_answers
from mirsal_testing.servers.processes import Program, find_process, is_alive
from mirsal_testing.stack import Stack, StackError
from mirsal_testing.stack.dotenv import read_env, write_env
from mirsal_testing.stack.folder import StateFolder
from mirsal_testing.stack.part import ServiceProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

TOYS = {
    "PYTHONPATH": str(Path(__file__).parent / "toy"),
    "MIRSAL_STACK_TABLE": "toy_table:TABLE",
}
ALL = ("supervisor", "kafka", "postgres", "valkey", "smtp-simulator", "gateway", "worker")


@contextmanager
def enterable_folder() -> Iterator[Path]:
    """A folder that the user `nobody` can enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="mirsal-stack-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def folder() -> Iterator[Path]:
    with enterable_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One for all tests that leave it as they found it: up and ready."""
    with enterable_folder() as folder, Stack(folder / "state", environment=TOYS) as stack:
        yield stack


def pids_of(stack: Stack) -> dict[str, dict[int, int]]:
    return {name: stack.pids(name) for name in ALL}


def seen_environment(stack: Stack, instance: str) -> dict[str, str]:
    """What a toy service was given."""
    text = (stack.folder.root / f"{instance}.json").read_text(encoding="utf-8")
    return {str(name): str(value) for name, value in json.loads(text).items()}


def living(*parts: dict[str, dict[int, int]]) -> list[int]:
    """Those of the pids whose process has not ended."""
    pids = [pid for part in parts for found in part.values() for pid in found.values()]
    return [pid for pid in pids if psutil.pid_exists(pid) and is_alive(psutil.Process(pid))]


def processes_in(folder: Path) -> list[psutil.Process]:
    """Whatever runs with a path below the folder among its arguments."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in argument for argument in process.info["cmdline"] or [])
    ]


async def test_up_is_ready_and_down_leaves_nothing(folder: Path) -> None:
    stack = Stack(folder / "state", environment=TOYS)
    changes: list[str] = []
    assert await stack.up(lambda status: changes.append(status.phase))
    try:
        assert changes[0] == "starting"
        assert changes[-1] == "ready"
        pids = pids_of(stack)
        assert [len(found) for found in pids.values()] == [1, 1, 1, 1, 1, 1, 2]
        assert stack.folder.pid_file_of("gateway").is_file()
        assert stack.folder.pid_file_of("worker-2").is_file()
        assert await http_answers(f"{stack.url}/anything")
        built = stack.folder.root / "built"
        assert built.read_text() == "run\n", "for the services that run, and for no other"
        assert not await stack.up(), "it is up already"
        assert built.read_text() == "run\n"
        assert pids_of(stack) == pids
        assert processes_in(folder)
    finally:
        assert await stack.down()
    assert not await stack.down(), "it is down already"
    assert not stack.folder.run.exists()
    assert not processes_in(folder)
    assert not living(pids)


async def test_env_and_what_services_are_given(stack: Stack) -> None:
    environment = stack.environment
    assert stat.S_IMODE(stack.folder.env.stat().st_mode) == 0o600
    assert environment["MIRSAL_API_KEY"] == stack.api_key == "toy-key"
    assert environment["MIRSAL_SMTP_PORT"] == environment["TOY_SMTP_PORT"]
    worker = seen_environment(stack, "worker-2")
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "REDIS_URL", "MIRSAL_SMTP_PORT"):
        assert worker[name] == environment[name]
    assert worker["MIRSAL_INSTANCE"] == "worker-2"
    assert worker["MIRSAL_STATE_DIR"] == str(stack.folder.root)
    assert environment["MIRSAL_WORKER_2_HEALTH_URL"].endswith(":" + worker["MIRSAL_HEALTH_PORT"])
    gateway = seen_environment(stack, "gateway-1")
    assert stack.url == f"http://127.0.0.1:{gateway['MIRSAL_PORT']}"
    assert len(gateway["MIRSAL_ID_SECRET"]) >= 32
    assert len(gateway["MIRSAL_API_KEY_PEPPER"]) >= 32


@pytest.mark.parametrize("name", ["gateway", "worker", "smtp-simulator", *ALL[1:4]])
async def test_what_is_killed_runs_again(stack: Stack, name: str) -> None:
    environment, before = stack.environment, pids_of(stack)
    index = max(before[name])
    starts = stack.starts(name, index)
    killed = stack.kill(name, index)
    assert killed == before[name][index]
    await stack.wait_ready()
    after = pids_of(stack)
    assert after[name].pop(index) != before[name].pop(index)
    assert after == before, "nothing else was restarted"
    assert stack.starts(name, index) == starts + 1
    assert stack.environment == environment


async def test_what_ends_by_itself_runs_again(stack: Stack) -> None:
    pid = stack.send_signal("worker", 1, signal.SIGTERM)
    await stack.wait_ready(gone=[pid])
    assert stack.pids("worker")[1] != pid


async def test_a_held_part_stays_down(stack: Stack) -> None:
    with stack.held("worker", 2):
        killed = stack.kill("worker", 1)
        async with asyncio.timeout(30):
            while stack.pids("worker").get(1) in {None, killed}:
                await asyncio.sleep(0.05)
        assert list(stack.pids("worker")) == [1]
        with pytest.raises(StackError, match="worker-2 is down"):
            await stack.wait_ready(seconds=0.2)
    await stack.wait_ready()
    assert list(stack.pids("worker")) == [1, 2]


async def test_a_paused_part_is_not_restarted(stack: Stack) -> None:
    pids = stack.pids("worker")
    stack.pause("worker", 1)
    with pytest.raises(StackError, match="not ready"):
        await stack.wait_ready(seconds=1)
    stack.resume("worker", 1)
    await stack.wait_ready()
    assert stack.pids("worker") == pids


async def test_a_second_start_keeps_ports_and_skips_what_is_done(folder: Path) -> None:
    stack = Stack(folder / "state", environment=TOYS)
    async with stack:
        environment = stack.environment
        secret = seen_environment(stack, "gateway-1")["MIRSAL_ID_SECRET"]
    async with stack:
        assert stack.environment == environment
        assert seen_environment(stack, "gateway-1")["MIRSAL_ID_SECRET"] == secret
    migrations = stack.folder.root / "migrations"
    assert migrations.read_text() == "run\n" * 2, "once for each service that runs"
    shutil.rmtree(stack.folder.data / "postgres" / "cluster")
    async with stack:
        assert stack.environment == environment
        assert migrations.read_text() == "run\n" * 4, "new data has to be migrated"


async def test_the_callers_settings_win(folder: Path) -> None:
    settings = {
        **TOYS,
        "MIRSAL_TOY_WORKERS": "1",
        "MIRSAL_GATEWAYS": "2",
        "MIRSAL_SMTP_HOST": "mail.example",
        "MIRSAL_API_KEY": "given-key",
        "MIRSAL_ID_SECRET": "given-secret",
    }
    async with Stack(folder / "state", environment=settings) as stack:
        assert list(stack.pids("gateway")) == [1, 2]
        assert stack.folder.pid_file_of("worker").is_file()
        assert stack.pids("smtp-simulator") == {}
        assert stack.api_key == "given-key"
        first, second = (seen_environment(stack, f"gateway-{index}") for index in (1, 2))
        assert first["MIRSAL_PORT"] == second["MIRSAL_PORT"]
        assert first["MIRSAL_ID_SECRET"] == "given-secret"
        assert first["MIRSAL_SMTP_HOST"] == "mail.example"
        assert first["MIRSAL_SMTP_TLS"] == "none", "a default of the stack, whoever the provider"


async def test_a_service_that_cannot_start_fails_the_stack_with_its_reason(folder: Path) -> None:
    stack = Stack(folder / "state", environment={**TOYS, "TOY_FAILS": "worker-2"})
    with pytest.raises(StackError, match=r"(?s)worker-2 ended .*this toy is \[broken\]"):
        await stack.up()
    assert not stack.folder.run.exists()
    assert not processes_in(folder)


async def test_an_answer_of_another_process_at_a_shared_port_does_not_count(folder: Path) -> None:
    state = StateFolder(folder)
    state.make()
    sibling = await asyncio.start_server(answer_200, "127.0.0.1", 0)
    port = sibling.sockets[0].getsockname()[1]
    program = Program([sys.executable, "-c", "import time; time.sleep(60)"], os.environ)
    url = f"http://127.0.0.1:{port}/ready"
    async with sibling:
        alone = ServiceProcess("alone", program, state, ready_urls=(url,))
        await alone.start()
        await alone.stop()
        sharing = ServiceProcess("sharing", program, state, ready_urls=(url,), listens_on=port)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await sharing.start()
        await sharing.stop()


async def answer_200(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    writer.close()


async def test_orphans_of_a_killed_supervisor_are_ended(folder: Path) -> None:
    stack = Stack(folder / "state", environment=TOYS)
    await stack.up()
    orphans = pids_of(stack)
    stack.kill("supervisor")
    assert not stack.is_up()
    assert stack.pids("kafka"), "the parts go on without it"
    await stack.up()
    replaced = pids_of(stack)
    assert not [name for name in ALL if set(orphans[name].values()) & set(replaced[name].values())]
    stack.kill("supervisor")
    assert await stack.down()
    assert not processes_in(folder)
    assert not living(orphans, replaced)


async def test_two_stacks_run_side_by_side(stack: Stack, folder: Path) -> None:
    async with Stack(folder / "other", environment=TOYS) as other:
        assert stack.url != other.url
        assert stack.environment["DATABASE_URL"] != other.environment["DATABASE_URL"]
        assert not set(stack.pids("worker").values()) & set(other.pids("worker").values())
    await stack.wait_ready()


async def test_a_stack_ends_with_the_process_that_it_was_started_for(folder: Path) -> None:
    program = (
        "import asyncio, os, sys; from pathlib import Path; from mirsal_testing.stack import Stack;"
        "asyncio.run(Stack(Path(sys.argv[1])).up()); os._exit(0)"
    )
    state = folder / "state"
    owner = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, str(state)), env={**os.environ, **TOYS}
    )
    assert await owner.wait() == 0
    deadline = time.monotonic() + 20
    while processes_in(folder) or (state / "run").exists():
        assert time.monotonic() < deadline, "it outlives its owner"
        await asyncio.sleep(0.1)


def command(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    state = {"MIRSAL_STATE_DIR": str(folder / "state"), "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, "-m", "mirsal_testing.stack", *arguments],
        env={**os.environ, **TOYS, **state, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_commands(folder: Path) -> None:
    try:
        first = command(folder, "up")
        assert first.returncode == 0, first.stdout + first.stderr
        assert "Mirsal is up" in first.stdout
        assert str(folder / "state" / "env") in first.stdout
        supervisor = find_process(folder / "state" / "run" / "supervisor.pid")
        assert supervisor is not None, "it stays after the command"
        again = command(folder, "up").stdout
        assert ("up already" in again, "started without" in again) == (True, False)
        changed = command(folder, "up", MIRSAL_TOY_WORKERS="3", TOY_COLOUR="red").stdout
        assert "It was started without MIRSAL_TOY_WORKERS:" in changed
        status = command(folder, "status")
        assert (status.returncode, "worker-2" in status.stdout) == (0, True)
        logs = command(folder, "logs", "--no-follow", "supervisor")
        assert "ready after" in logs.stdout
    finally:
        down = command(folder, "down")
    assert "Mirsal is down" in down.stdout
    assert command(folder, "status").returncode == 1
    assert command(folder, "clean").returncode == 0
    assert not (folder / "state").exists()


def test_a_command_that_fails_says_why(folder: Path) -> None:
    before = os.environ.get("TOY_FAILS")
    os.environ["TOY_FAILS"] = "gateway-1"
    try:
        failed = command(folder, "up")
    finally:
        del os.environ["TOY_FAILS"]
    assert before is None
    assert failed.returncode == 1
    assert "this toy is [broken]" in failed.stdout


def test_a_shell_that_has_read_the_env_file_can_start_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stack(folder / "state", environment=TOYS) as stack:
        environment = stack.environment
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with Stack(folder / "state", environment=TOYS) as stack:
        assert stack.pids("kafka"), "its own server, not somebody else's at that URL"
        assert stack.environment == environment


def test_the_env_file_is_read_as_a_shell_reads_it(folder: Path) -> None:
    values = {"PLAIN": "http://127.0.0.1:1/x", "HARD": "a b&c'd\"$e `f` مرسال", "EMPTY": ""}
    write_env(folder / "env", values)
    assert read_env(folder / "env") == values
    shell = subprocess.run(
        ["sh", "-c", '. "$0"; printf %s "$HARD"', str(folder / "env")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shell.stdout == values["HARD"]
    assert read_env(folder / "none") == {}
