"""Processes of ours: starting, signalling, ending, and knowing one again by its pid file.

A pid file holds the pid and nothing else, so that `kill -9 $(cat file)` works; its modification
time is the moment at which that process began. A pid that the kernel has given to a stranger
since then does not match, and is never touched.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import pwd
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

import psutil

from mirsal_testing.servers.server import ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# A process's start time is computed from the boot time, which moves when the clock is set.
_START_TIME_TOLERANCE = 3.0
_POLL = 0.02


def write_pid_file(path: Path, pid: int) -> None:
    """Records a living process in one step: no reader ever sees half a file."""
    began = psutil.Process(pid).create_time()
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(f"{pid}\n", encoding="ascii")
    os.utime(draft, (began, began))
    draft.replace(path)


def find_process(pid_file: Path) -> psutil.Process | None:
    """The living process that the file was written for; None if it ended or was never there."""
    try:
        pid = int(pid_file.read_text(encoding="ascii"))
        written_for = pid_file.stat().st_mtime
        process = psutil.Process(pid)
        began = process.create_time()
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return None
    ours = abs(began - written_for) < _START_TIME_TOLERANCE and is_alive(process)
    return process if ours else None


def is_alive(process: psutil.Process) -> bool:
    """Whether it has not ended; one that only waits for its parent to notice has."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def listens(pid: int, port: int) -> bool:
    """Whether this very process accepts connections at the TCP port."""
    try:
        connections = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.NoSuchProcess:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in connections)


def signal_tree(process: psutil.Process, number: signal.Signals) -> None:
    """Signals a process and everything that it started."""
    try:
        if number in {signal.SIGKILL, signal.SIGSTOP}:
            # Stopped first, it starts nothing between the look at its children and their signal.
            process.send_signal(signal.SIGSTOP)
        family = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.send_signal(number)


async def end_process(
    process: psutil.Process, *, grace: float, first: signal.Signals = signal.SIGTERM
) -> None:
    """Ends a process that may be no child of ours: asks with `first`, after `grace` s insists."""
    try:
        process.send_signal(signal.SIGCONT)
        process.send_signal(first)
        if await _gone(process, grace):
            return
        signal_tree(process, signal.SIGKILL)
        await _gone(process, 5.0)
    except psutil.NoSuchProcess:
        return


async def _gone(process: psutil.Process, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not is_alive(process):
            return True
        await asyncio.sleep(_POLL)
    return False


class UserSwitch(TypedDict, total=False):
    """The arguments of `subprocess` that change the user."""

    user: int
    group: int
    extra_groups: list[int]


def user_switch(user: str | None) -> UserSwitch:
    """Runs as that user, with its main group only; None: no change."""
    if user is None:
        return {}
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise ServerError(
            f"there is no user {user} for a server that must not run as root: add one, or run "
            "as an ordinary user"
        ) from None
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@dataclass(frozen=True)
class Program:
    """What to execute: arguments, the whole environment, folder, and another user if root."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path | None = None
    user: str | None = None


class ChildProcess:
    """One run of a program in a session of its own, its output appended to a log file.

    It ends with the Python process that started it, unless that is killed.
    """

    def __init__(self, program: Program, *, log: Path, pid_file: Path | None = None) -> None:
        self._pid_file = pid_file
        with log.open("ab") as output:
            self._popen = subprocess.Popen(  # noqa: S603 - our own programs, no shell
                list(program.arguments),
                env=dict(program.environment),
                cwd=program.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **user_switch(program.user),
            )
        self.began = time.monotonic()
        _children.add(self)
        if pid_file is not None:
            write_pid_file(pid_file, self.pid)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        code = self._popen.poll()
        if code is not None:
            self._forget()
        return code

    def is_running(self) -> bool:
        return self.exit_code is None

    def signal_tree(self, number: signal.Signals) -> None:
        """Signals it and everything that it started; nothing if it has ended."""
        if self.is_running():
            signal_tree(psutil.Process(self.pid), number)

    async def end(self, *, grace: float, first: signal.Signals = signal.SIGTERM) -> None:
        """Asks with `first`; what has not ended after `grace` seconds is killed."""
        if self.is_running():
            self.signal_tree(signal.SIGCONT)
            self._popen.send_signal(first)
            if not await self._ended(grace):
                await self.kill()

    async def kill(self) -> None:
        """SIGKILL to it and everything that it started; returns when it is gone."""
        self.signal_tree(signal.SIGKILL)
        if not await self._ended(10.0):
            raise TimeoutError(f"process {self.pid} outlived SIGKILL by 10 s")

    async def _ended(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.is_running():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_POLL)
        return True

    def _forget(self) -> None:
        _children.discard(self)
        if self._pid_file is not None and self._holds_own_pid(self._pid_file):
            self._pid_file.unlink(missing_ok=True)

    def _holds_own_pid(self, pid_file: Path) -> bool:
        try:
            return int(pid_file.read_text(encoding="ascii")) == self.pid
        except (FileNotFoundError, ValueError):
            return False


_children: set[ChildProcess] = set()
_parent = os.getpid()


@atexit.register
def _end_children() -> None:
    if os.getpid() != _parent:
        return
    for child in list(_children):
        child.signal_tree(signal.SIGKILL)
