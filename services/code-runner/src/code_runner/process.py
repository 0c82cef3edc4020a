"""One box as its crew sees it: a process, a socket to it, and the page with its logs."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from mirsal_runtime.log_faults import Told

from code_runner.frames import HEADER, MOST_FROM_BOX, PAGE_BYTES, LogPage
from code_runner.lockdown import Part

START_SECONDS: Final = 60.0
BOX_ENVIRONMENT: Final[Mapping[str, str]] = {}


class BoxDied(Told):
    """The box ended, or said what no box says."""


class BoxOverran(Exception):
    """The box did not answer in time."""


class Box:
    """A running box. Not safe for two runs at a time."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        page: LogPage,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._page = page
        self.wall: dict[Part, str] = {}
        self.runs = 0

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether the process is known to be gone."""
        return self._process.returncode is not None

    @classmethod
    async def start(cls, artefacts: Mapping[str, Path]) -> "Box":
        """A box that is warm and locked down. Raises `BoxDied`."""
        page = _shared_memory()
        try:
            ours, theirs = socket.socketpair()
        except BaseException:
            os.close(page)
            raise
        try:
            process = await _start_process(artefacts, theirs.fileno(), page)
            log_page = LogPage.of(page)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(page)
        try:
            reader, writer = await asyncio.open_connection(sock=ours, limit=MOST_FROM_BOX)
        except BaseException:
            ours.close()
            process.kill()
            raise
        box = cls(process, reader, writer, log_page)
        try:
            async with asyncio.timeout(START_SECONDS):
                box.wall = await box._read_hello()
        except (BoxDied, TimeoutError) as error:
            await box.kill()
            raise BoxDied(f"the box did not start: {error}") from error
        except asyncio.CancelledError:
            await box.kill()
            raise
        return box

    async def _read_hello(self) -> dict[Part, str]:
        hello = await self._read()
        if "ready" not in hello:
            raise BoxDied(str(hello.get("failed", "it said no hello")))
        return {part: str(state) for part, state in dict(hello.get("wall", {})).items()}

    async def run(self, job: Mapping[str, Any], seconds: float) -> Mapping[str, Any]:
        """Have it run a job. Raises `BoxDied` and, after `seconds`, `BoxOverran`."""
        if self.ended:
            raise BoxDied("the box ended")
        self.runs += 1
        self._page.clear()
        try:
            async with asyncio.timeout(seconds):
                body = json.dumps(job).encode()
                self._writer.write(HEADER.pack(len(body)) + body)
                return await self._read()
        except TimeoutError as error:
            raise BoxOverran from error

    def read_logs(self) -> tuple[str, bool]:
        """What the last run wrote, and whether there was more."""
        return self._page.read()

    async def kill(self) -> None:
        """End the process now, and wait until it is gone."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._writer.close()
        await self._process.wait()
        with suppress(OSError):
            await self._writer.wait_closed()
        self._page.close()

    async def wait_ended(self) -> None:
        """Returns when the process is gone."""
        await self._process.wait()

    async def _read(self) -> dict[str, Any]:
        try:
            (length,) = HEADER.unpack(await self._reader.readexactly(HEADER.size))
            if length > MOST_FROM_BOX:
                raise BoxDied("the box said too much")
            said = json.loads(await self._reader.readexactly(length))
        except (OSError, EOFError, ValueError, RecursionError) as error:
            raise BoxDied("the box ended") from error
        if not isinstance(said, dict):
            raise BoxDied("the box said what no box says")
        return said


async def _start_process(
    artefacts: Mapping[str, Path], their_end: int, page: int
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-m", "code_runner.box", str(their_end), str(page), str(os.getpid())),
            *(f"{language}={path}" for language, path in artefacts.items()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=(their_end, page),
            env=BOX_ENVIRONMENT,
        )
    except OSError as error:
        raise BoxDied(f"no process could be started: {error}") from error


def _shared_memory() -> int:
    descriptor = os.memfd_create("mirsal-logs", os.MFD_CLOEXEC)
    try:
        os.ftruncate(descriptor, PAGE_BYTES)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
