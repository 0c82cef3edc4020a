"""One-off programs that must have succeeded before services start: migrations, topics, the key.

A job whose code, settings and server data are as they were when it last succeeded is not run
again: that is what makes a second start quick.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mirsal_testing.servers.log_tail import read_tail
from mirsal_testing.servers.processes import ChildProcess, Program
from mirsal_testing.servers.server import ServerError
from mirsal_testing.stack.code import THIS_VERSION, Code

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mirsal_testing.servers.remembered import Remembered
    from mirsal_testing.servers.server import Server
    from mirsal_testing.stack.folder import StateFolder

_SECONDS = 90.0
_POLL = 0.02
# What the server was born with: other data means that nothing has been done in it yet.
_BIRTH_MARKS = ("PG_VERSION", "meta.properties")


@dataclass(frozen=True)
class Job:
    """`python -m <arguments>`, whose outcome lies in one server's data.

    `packages` are those whose code decides what the job does.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    packages: tuple[str, ...]
    server: Server
    code: Code = THIS_VERSION

    def fingerprint(self) -> str | None:
        """Changes with whatever could change the outcome; None where the data cannot be seen."""
        birth = self._birth()
        if birth is None:
            return None
        settings = {
            name: value
            for name, value in self.environment.items()
            if name.startswith("MIRSAL_") or name in {"DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS"}
        }
        code = [line for package in self.packages for line in _code_of(package)]
        parts = [sys.version, self.code.python, birth, self.arguments, settings, code]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _birth(self) -> list[int] | None:
        for mark in _BIRTH_MARKS:
            if self.server.data is not None and (self.server.data / mark).is_file():
                found = (self.server.data / mark).stat()
                return [found.st_ino, found.st_mtime_ns]
        return None


async def run_job(job: Job, folder: StateFolder, kept: Remembered) -> float | None:
    """Runs it unless it is done; the seconds it took, or None. Raises `ServerError` if it fails."""
    key = f"done:{job.name}"
    fingerprint = job.fingerprint()
    if fingerprint is not None and kept.get(key) == fingerprint:
        return None
    kept.forget(key)
    began = time.monotonic()
    log = folder.log_of(job.name)
    program = Program([sys.executable, "-m", *job.arguments], job.environment)
    child = ChildProcess(job.code.run(program), log=log)
    try:
        while child.is_running():
            if time.monotonic() - began > _SECONDS:
                raise ServerError(f"{job.name} has not ended in {_SECONDS:.0f} s; {read_tail(log)}")
            await asyncio.sleep(_POLL)
    finally:
        await child.kill()
    if child.exit_code != 0:
        raise ServerError(f"{job.name} failed with code {child.exit_code}; {read_tail(log)}")
    if fingerprint is not None:
        kept.keep(key, fingerprint)
    return time.monotonic() - began


async def capture_line(arguments: tuple[str, ...], environment: Mapping[str, str]) -> str:
    """The last line that `python -m <arguments>` prints. Raises `ServerError` if it fails."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *arguments),
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    lines = output.decode("utf-8", "replace").split()
    if process.returncode != 0 or not lines:
        reason = errors.decode("utf-8", "replace").strip()
        raise ServerError(f"python -m {' '.join(arguments)} printed nothing to use: {reason}")
    return lines[-1]


def _code_of(package: str) -> Iterator[str]:
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec is not None else []
    files = [path for place in places for path in Path(place).rglob("*")]
    if spec is not None and not places and spec.origin is not None:
        files = [Path(spec.origin)]
    for path in sorted(files):
        if path.is_file() and path.suffix != ".pyc":
            found = path.stat()
            yield f"{path} {found.st_size} {found.st_mtime_ns}"
