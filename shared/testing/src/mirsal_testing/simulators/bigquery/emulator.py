"""`bqemulator` as a child process: started when first needed, restarted if it has ended."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING

from mirsal_testing.servers.cache import cache_folder
from mirsal_testing.servers.log_tail import read_tail
from mirsal_testing.servers.ports import free_port
from mirsal_testing.servers.probes import http_answers
from mirsal_testing.servers.processes import ChildProcess, Program
from mirsal_testing.servers.server import ServerError

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = "mirsal_testing.simulators.bigquery.emulate"
START_SECONDS = 60.0
_POLL = 0.05
_GRACE = 2.0


class Emulator:
    """BigQuery's API on DuckDB in memory: what it holds is gone with its process.

    Its HOME, 78 MB for the extension that DuckDB wants there, lies in the cache: copied once.
    """

    def __init__(self, folder: Path) -> None:
        """`folder` gets its log and its pid file."""
        self.log = folder / "bigquery-emulator.log"
        self._folder = folder
        self._port = free_port()
        self._child: ChildProcess | None = None
        self._starting = asyncio.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        child = self._child
        return child.pid if child is not None and child.is_running() else None

    async def start(self) -> str:
        """Its URL, once it answers. Raises `ServerError` if it ends before or takes a minute."""
        if self.pid is None or self._starting.locked():
            async with self._starting:
                if self.pid is None:
                    await self._start()
        return self.url

    async def _start(self) -> None:
        home = cache_folder() / "bqemulator"
        home.mkdir(parents=True, exist_ok=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "HOME": str(home)}
        program = Program([sys.executable, "-m", PROGRAM, str(self._port)], environment)
        child = ChildProcess(program, log=self.log, pid_file=self.log.with_suffix(".pid"))
        deadline = time.monotonic() + START_SECONDS
        while not await http_answers(f"{self.url}/readyz"):
            if not child.is_running() or time.monotonic() > deadline:
                await child.end(grace=0)
                raise ServerError(f"bqemulator did not start; {read_tail(self.log)}")
            await asyncio.sleep(_POLL)
        self._child = child

    async def stop(self) -> None:
        if self._child is not None:
            await self._child.end(grace=_GRACE)
            self._child = None
