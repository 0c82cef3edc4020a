"""Pid files know their process again and no other; ending takes the whole family along."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from mirsal_testing.servers.processes import (
    ChildProcess,
    Program,
    end_process,
    find_process,
    listens,
    write_pid_file,
)
from mirsal_testing.servers.session import open_session_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('deaf', flush=True); time.sleep(60)",
]
PARENT = [
    sys.executable,
    "-c",
    "import subprocess, sys; child = subprocess.Popen(['sleep', '60']); "
    "print(child.pid, flush=True); child.wait()",
]


class Nursery:
    """Starts programs in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.pid_file = folder / "one.pid"
        self.children: list[ChildProcess] = []

    def start(self, arguments: list[str]) -> ChildProcess:
        child = ChildProcess(Program(arguments, os.environ), log=self.log, pid_file=self.pid_file)
        self.children.append(child)
        return child

    def first_line(self) -> str:
        deadline = time.monotonic() + 10
        while not self.log.read_text().strip():
            assert time.monotonic() < deadline, "it printed nothing"
            time.sleep(0.01)
        return self.log.read_text().strip()


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path)
    yield nursery
    for child in nursery.children:
        child.signal_tree(signal.SIGKILL)
        while child.is_running():
            time.sleep(0.01)


def test_a_pid_file_holds_the_pid_alone_and_finds_its_process(nursery: Nursery) -> None:
    child = nursery.start(SLEEP)
    assert nursery.pid_file.read_text() == f"{child.pid}\n"
    found = find_process(nursery.pid_file)
    assert found is not None
    assert found.pid == child.pid


def test_a_pid_that_a_stranger_has_now_is_not_found(nursery: Nursery) -> None:
    child = nursery.start(SLEEP)
    earlier = psutil.Process(child.pid).create_time() - 60
    os.utime(nursery.pid_file, (earlier, earlier))
    assert find_process(nursery.pid_file) is None


@pytest.mark.parametrize("content", ["", "no number", "99999999"])
def test_a_pid_file_without_a_living_process_finds_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.pid").write_text(content)
    assert find_process(tmp_path / "x.pid") is None
    assert find_process(tmp_path / "none.pid") is None


async def test_the_pid_file_goes_with_the_process(nursery: Nursery) -> None:
    child = nursery.start(SLEEP)
    await child.end(grace=10)
    assert child.exit_code == -signal.SIGTERM
    assert not nursery.pid_file.exists()


async def test_what_is_deaf_to_sigterm_is_killed_after_its_grace(nursery: Nursery) -> None:
    child = nursery.start(STUBBORN)
    nursery.first_line()
    await child.end(grace=0.2)
    assert child.exit_code == -signal.SIGKILL


async def test_a_paused_process_ends_in_good_order(nursery: Nursery) -> None:
    child = nursery.start(SLEEP)
    child.signal_tree(signal.SIGSTOP)
    await child.end(grace=10)
    assert child.exit_code == -signal.SIGTERM


async def test_kill_takes_what_it_started_along(nursery: Nursery) -> None:
    child = nursery.start(PARENT)
    grandchild = psutil.Process(int(nursery.first_line()))
    await child.kill()
    assert psutil.wait_procs([grandchild], timeout=5)[1] == []


async def test_a_process_that_is_no_child_can_be_ended(nursery: Nursery) -> None:
    nursery.start(PARENT)
    grandchild = psutil.Process(int(nursery.first_line()))
    await end_process(grandchild, grace=10)
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


def test_listening_is_told_of_the_very_process(nursery: Nursery) -> None:
    program = (
        "import socket, time; s = socket.create_server(('127.0.0.1', 0)); "
        "print(s.getsockname()[1], flush=True); time.sleep(60)"
    )
    child = nursery.start([sys.executable, "-c", program])
    port = int(nursery.first_line())
    assert listens(child.pid, port)
    assert not listens(os.getpid(), port)
    assert not listens(child.pid, port + 1)


def test_servers_of_a_killed_test_run_are_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nursery: Nursery
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    abandoned = open_session_folder()
    (abandoned / "kafka").mkdir()
    left_behind = nursery.start(SLEEP)
    write_pid_file(abandoned / "kafka" / "kafka.pid", left_behind.pid)
    assert open_session_folder().is_dir()
    assert abandoned.is_dir(), "its owner, this process, lives"

    (abandoned / "owner.pid").write_text("99999999\n")
    open_session_folder()
    assert not abandoned.exists()
    assert psutil.wait_procs([psutil.Process(left_behind.pid)], timeout=5)[1] == []
