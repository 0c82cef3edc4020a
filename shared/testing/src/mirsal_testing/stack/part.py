"""One long-lived part of the stack: what the supervisor can do with a server or a service."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from mirsal_testing.servers.log_tail import read_tail
from mirsal_testing.servers.probes import http_answers
from mirsal_testing.servers.processes import ChildProcess, Program, listens
from mirsal_testing.servers.server import ServerError
from mirsal_testing.stack.code import code_of

if TYPE_CHECKING:
    from pathlib import Path

    from mirsal_testing.stack.folder import StateFolder

_GRACE = 25.0
_POLL = 0.05


class Part(Protocol):
    """A `Server` is one, and so is a `ServiceProcess`."""

    @property
    def name(self) -> str: ...

    @property
    def pid(self) -> int | None: ...

    @property
    def log(self) -> Path | None: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def is_running(self) -> bool: ...


class ServiceProcess:
    """One process of a service or simulator, ready when all its URLs answer 200."""

    def __init__(
        self,
        name: str,
        program: Program,
        folder: StateFolder,
        *,
        ready_urls: tuple[str, ...],
        listens_on: int | None = None,
        is_released: bool = False,
    ) -> None:
        """`listens_on`: a port that several processes share and that it must have opened.

        `is_released`: it may run the code of another version: see `code`.
        """
        self.name = name
        self._ready_urls = ready_urls
        self._listens_on = listens_on
        self.log = folder.log_of(name)
        self._program = program
        self._pid_file = folder.pid_file_of(name)
        self._child: ChildProcess | None = None
        self._folder = folder
        self._is_released = is_released

    @property
    def exit_code(self) -> int | None:
        """Of its last process; None while that runs. Negative: the signal that ended it."""
        return None if self._child is None else self._child.exit_code

    @property
    def pid(self) -> int | None:
        child = self._child
        return child.pid if child is not None and child.is_running() else None

    async def start(self) -> None:
        """Returns when it is ready, however long that takes; raises if it ends before."""
        program = self._program
        if self._is_released:
            program = code_of(self._folder, self.name).run(program)
        child = ChildProcess(program, log=self.log, pid_file=self._pid_file)
        self._child = child
        while not await self._is_ready(child):
            if not child.is_running():
                raise ServerError(
                    f"{self.name} ended with code {child.exit_code} before it was ready; "
                    + read_tail(self.log)
                )
            await asyncio.sleep(_POLL)

    async def _is_ready(self, child: ChildProcess) -> bool:
        for url in self._ready_urls:
            if not await http_answers(url):
                return False
        # At a shared port it may have been another process that has answered.
        return self._listens_on is None or listens(child.pid, self._listens_on)

    async def stop(self) -> None:
        if self._child is not None:
            await self._child.end(grace=_GRACE)

    async def is_running(self) -> bool:
        return self.pid is not None
