"""What the three embedded servers share: one process, its folder, port, log and pid file."""

from __future__ import annotations

import asyncio
import signal
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from mirsal_testing.servers.log_tail import read_tail
from mirsal_testing.servers.processes import ChildProcess, Program, end_process, find_process
from mirsal_testing.servers.remembered import Remembered
from mirsal_testing.servers.server import ServerError

if TYPE_CHECKING:
    from pathlib import Path

_POLL = 0.03
_LAUNCH_PAUSE = 0.25


class EmbeddedServer(ABC):
    """A `Server` that is a child process of this one. One handle a home folder at a time.

    `home` holds all that outlives the process: the data, the port and the secrets. A second
    handle on the same home, in this process or a later one, finds them again.
    """

    name: ClassVar[str]
    start_seconds: float = 60.0
    stop_seconds: float = 20.0
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    # How often a process that ends before it is ready is started again within `start_seconds`.
    launches: ClassVar[int] = 1

    def __init__(
        self, home: Path, *, log: Path | None = None, pid_file: Path | None = None
    ) -> None:
        self.home = home.absolute()
        self.home.mkdir(parents=True, exist_ok=True)
        self._log = log or self.home / f"{self.name}.log"
        self._pid_file = pid_file or self.home / f"{self.name}.pid"
        self._kept = Remembered(self.home / "kept.json")
        self._port: int | None = None
        self._child: ChildProcess | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect."""

    @property
    @abstractmethod
    def data(self) -> Path:
        """The server's own data folder."""

    @abstractmethod
    async def prepare(self) -> None:
        """Gets binaries and an empty data folder into place; quick when both are there."""

    @abstractmethod
    def _program(self) -> Program:
        """What to execute, once prepared."""

    @abstractmethod
    async def is_ready(self) -> bool:
        """Whether it answers a request of its own protocol within a second."""

    async def _begin_service(self) -> None:
        """What is to be done each time it has begun to answer; by default nothing."""
        return

    @property
    def port(self) -> int:
        """Chosen at the first look: the port of the last time if it is still free."""
        if self._port is None:
            self._port = self._kept.port("port")
        return self._port

    @property
    def pid(self) -> int | None:
        child = self._child
        return child.pid if child is not None and child.is_running() else None

    @property
    def log(self) -> Path:
        return self._log

    async def is_running(self) -> bool:
        return self.pid is not None

    async def start(self) -> None:
        if self.pid is None:
            await self._end_orphan()
            await self.prepare()
            self._launch()
        await self._become_ready()

    async def stop(self) -> None:
        if self._child is not None:
            await self._child.end(grace=self.stop_seconds, first=self.stop_signal)

    async def kill(self) -> None:
        await self._running_child().kill()

    async def pause(self) -> None:
        self._running_child().signal_tree(signal.SIGSTOP)

    async def resume(self) -> None:
        self._running_child().signal_tree(signal.SIGCONT)

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    def _running_child(self) -> ChildProcess:
        child = self._running_or_ended()
        if not child.is_running():
            raise self._failure("is not running")
        return child

    def _running_or_ended(self) -> ChildProcess:
        if self._child is None:
            raise ServerError(f"{self.name} was not started by this handle: call start() first")
        return self._child

    async def _end_orphan(self) -> None:
        """A process that an earlier, killed owner of this home has left would hold the data."""
        orphan = find_process(self._pid_file)
        if orphan is not None:
            await end_process(orphan, grace=self.stop_seconds, first=self.stop_signal)
        self._pid_file.unlink(missing_ok=True)

    def _launch(self) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._pid_file.parent.mkdir(parents=True, exist_ok=True)
        self._child = ChildProcess(self._program(), log=self._log, pid_file=self._pid_file)

    async def _become_ready(self) -> None:
        deadline = time.monotonic() + self.start_seconds
        launches_left = self.launches - 1
        while True:
            child = self._running_or_ended()
            if not child.is_running():
                if launches_left == 0:
                    raise self._failure(f"ended with code {child.exit_code} before it was ready")
                launches_left -= 1
                await asyncio.sleep(_LAUNCH_PAUSE)
                self._launch()
            elif await self.is_ready():
                break
            elif time.monotonic() > deadline:
                await child.kill()
                raise self._failure(f"was not ready within {self.start_seconds:.0f} s")
            await asyncio.sleep(_POLL)
        await self._begin_service()

    def _failure(self, what: str) -> ServerError:
        return ServerError(f"{self.name} {what}; {read_tail(self.log)}")
