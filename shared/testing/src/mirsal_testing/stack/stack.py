"""The platform on this machine, as a caller sees it: up, down, where it is, killing parts of it."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

import psutil

from mirsal_testing.servers.apart import run_apart
from mirsal_testing.servers.choice import fetch_binaries
from mirsal_testing.servers.probes import http_answers
from mirsal_testing.servers.processes import end_process, find_process, is_alive, signal_tree
from mirsal_testing.stack.dotenv import read_env
from mirsal_testing.stack.folder import StateFolder, default_state_folder
from mirsal_testing.stack.launch import (
    StackError,
    caller_environment,
    find_unused,
    follow_start,
    reap,
    spawn_supervisor,
)
from mirsal_testing.stack.orphans import end_orphans
from mirsal_testing.stack.preparation import prepare_services
from mirsal_testing.stack.status import StackStatus, read_status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import Self

    from mirsal_testing.stack.code import Code

_DOWN_SECONDS = 75.0
_POLL = 0.05
_DEATH_SECONDS = 5.0
_STOP_SECONDS = 1.0
_DEATH_POLL = 0.002


class Stack:
    """Mirsal with all its servers, services and simulators, each a process of its own.

    >>> async with Stack(tmp_path / "mirsal", environment={"MIRSAL_GATEWAYS": "2"}) as stack:
    ...     await client.get(stack.url, headers={"x-api-key": stack.api_key})
    ...     stack.kill("orchestrator")          # SIGKILL; a new one runs within a second
    ...     await stack.wait_ready()
    ...     with stack.held("kafka"):           # SIGKILL, and down until the block ends
    ...         ...

    `with` does the same from synchronous code; `await up()` and `await down()` without either.

    `state_dir`: where data, logs and pid files lie; one stack a folder. None: the stack of
    `make up`. `environment` is laid over that of this process: how many processes of a service run
    (`MIRSAL_WHATSAPP_WORKERS`), real providers or servers in place of ours, any other setting.

    `code`: which code the services run at first, if not this version's.

    A stack ends with the Python process that brought it up, killed or not, unless `stays`.
    Parts are named as their pid files: `gateway`, `orchestrator`, `email-worker`,
    `whatsapp-worker`, `sheets-worker`, `code-runner`, `noop-worker`, `kafka`, `postgres`, `valkey`,
    `smtp-simulator`, `whatsapp-simulator`, `sheets-simulator`, `bigquery-simulator`, `supervisor`.
    Of a service with several processes, `index` counts from 1.
    """

    def __init__(
        self,
        state_dir: Path | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        stays: bool = False,
        code: Code | None = None,
    ) -> None:
        self.folder = StateFolder(state_dir or default_state_folder())
        self._overrides = dict(environment or {})
        self._stays = stays
        self._code = code
        self._spawned: int | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What `.mirsal/env` holds: `MIRSAL_URL`, `MIRSAL_API_KEY`, server and simulator URLs."""
        return read_env(self.folder.env)

    @property
    def url(self) -> str:
        """The gateway's, without a path."""
        return self._value("MIRSAL_URL")

    @property
    def api_key(self) -> str:
        return self._value("MIRSAL_API_KEY")

    @property
    def status(self) -> StackStatus | None:
        """What the supervisor says of itself and its parts; None if the stack is down."""
        return read_status(self.folder.status)

    def is_up(self) -> bool:
        """Whether its supervisor runs, be the stack ready or not."""
        return self.folder.supervisor() is not None

    def unused_settings(self) -> list[str]:
        """Settings that this process has and that the stack, up already, was started without."""
        supervisor = self.folder.supervisor()
        if supervisor is None:
            return []
        wanted = caller_environment(self.folder, self._overrides)
        return find_unused(supervisor.environ(), wanted)

    async def up(self, on_change: Callable[[StackStatus], None] | None = None) -> bool:
        """Returns when all parts are ready: False if they already were.

        Raises `StackError`, with the end of the guilty log, if a part could not be started; then
        nothing is left running. `on_change` is called whenever a part has changed.
        """
        status = self.status
        if self.is_up() and status is not None:
            if status.phase == "ready":
                return False
            if status.phase in {"stopping", "failed"}:
                await self.down()
        self.folder.make()
        if not self.is_up():
            environment = caller_environment(self.folder, self._overrides)
            await fetch_binaries(environment)
            await prepare_services(environment)
            reap(self._spawned)
            if self._code is not None:
                self._code.write(self.folder.first_code)
            self._spawned = spawn_supervisor(self.folder, environment, stays=self._stays)
        try:
            await follow_start(self.folder, on_change)
        except BaseException:
            await self.down()
            raise
        return True

    async def down(self) -> bool:
        """Ends all parts, services before servers; False if nothing ran. Data and logs stay."""
        supervisor = self.folder.supervisor()
        if supervisor is not None:
            await end_process(supervisor, grace=_DOWN_SECONDS)
        reap(self._spawned)
        orphans = await end_orphans(self.folder) if self.folder.run.is_dir() else []
        self.folder.remove_run()
        return supervisor is not None or bool(orphans)

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.down()

    def __enter__(self) -> Self:
        run_apart(self.up())
        return self

    def __exit__(self, *_: object) -> None:
        run_apart(self.down())

    def pids(self, name: str) -> dict[int, int]:
        """The living processes of a part: pid by index, from 1."""
        return {
            index: process.pid
            for index, pid_file in self.folder.pid_files(name).items()
            if (process := find_process(pid_file)) is not None
        }

    def kill(self, name: str, index: int = 1) -> int:
        """SIGKILL to one process alone, not to its children; its pid, once it is dead."""
        process = self._process(name, index)
        process.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + _DEATH_SECONDS
        while is_alive(process) and time.monotonic() < deadline:
            time.sleep(_DEATH_POLL)
        return int(process.pid)

    def send_signal(self, name: str, index: int, number: signal.Signals) -> int:
        """Any signal to one process; its pid. Raises `StackError` if it does not run."""
        process = self._process(name, index)
        process.send_signal(number)
        return int(process.pid)

    def pause(self, name: str, index: int = 1) -> None:
        """SIGSTOP to a process and its children; returns once it stands still.

        Raises `StackError` if it does not within a second.
        """
        process = self._process(name, index)
        signal_tree(process, signal.SIGSTOP)
        give_up = time.monotonic() + _STOP_SECONDS
        while process.status() != psutil.STATUS_STOPPED:
            if time.monotonic() > give_up:
                raise StackError(f"{name} number {index} does not stop")

    def resume(self, name: str, index: int = 1) -> None:
        """SIGCONT after `pause`."""
        signal_tree(self._process(name, index), signal.SIGCONT)

    def held(self, name: str, index: int = 1) -> Held:
        """A context in which that process is down: killed at its start, started again at its end.

        The restart is under way when the context ends: `await wait_ready()` for its end.
        """
        return Held(self, name, index)

    def exit_code(self, name: str, index: int = 1) -> int | None:
        """Of the process that was there before this one; negative: the signal that ended it."""
        status = self.status
        return status.part(self.part_name(name, index)).exit_code if status else None

    def starts(self, name: str, index: int = 1) -> int:
        """How often the supervisor has started this process."""
        status = self.status
        names = {f"{name}-{index}", name} if index == 1 else {f"{name}-{index}"}
        counts = [part.starts for part in (status.parts if status else []) if part.name in names]
        return max(counts, default=0)

    async def wait_ready(self, seconds: float = 30.0, *, gone: Iterable[int] = ()) -> None:
        """Returns when every part runs and is ready, the ones just killed included.

        `gone` are pids that must have ended before, as after `send_signal` with SIGTERM.
        """
        deadline = time.monotonic() + seconds
        while any(psutil.pid_exists(pid) for pid in gone) or not await self._is_ready():
            if time.monotonic() > deadline:
                raise StackError(f"not ready after {seconds:.0f} s: {self._unready()}")
            await asyncio.sleep(_POLL)

    async def _is_ready(self) -> bool:
        """As the supervisor says, and as each pid and URL shows: it may not know of a death yet."""
        status = self.status
        if status is None or status.phase != "ready":
            return False
        for part in status.parts:
            if part.state == "done":
                continue
            living = find_process(self.folder.pid_file_of(part.name))
            if part.state != "ready" or (part.pid and (not living or living.pid != part.pid)):
                return False
        environment = self.environment
        urls = [f"{url}/ready" for key, url in environment.items() if key.endswith("_HEALTH_URL")]
        urls += [f"{self.url}/api/automation/health"]
        return all(await asyncio.gather(*(http_answers(url) for url in urls)))

    def _unready(self) -> str:
        parts = self.status.parts if self.status else []
        return ", ".join(f"{part.name} is {part.state}" for part in parts if part.state != "done")

    def part_name(self, name: str, index: int) -> str:
        """How the supervisor names one process: with its number if there are several."""
        pid_file = self.folder.pid_files(name).get(index)
        if pid_file is None:
            raise StackError(f"{name} number {index} does not run in {self.folder.root}")
        return pid_file.stem

    def _process(self, name: str, index: int) -> psutil.Process:
        process = find_process(self.folder.pid_file_of(self.part_name(name, index)))
        if process is None:
            raise StackError(f"{name} number {index} does not run in {self.folder.root}")
        return process

    def _value(self, name: str) -> str:
        try:
            return self.environment[name]
        except KeyError:
            raise StackError(f"no {name} in {self.folder.env}: is the stack up?") from None


class Held:
    """A process of a stack that is down for the length of a `with` block."""

    def __init__(self, stack: Stack, name: str, index: int) -> None:
        self._stack = stack
        self._name = name
        self._index = index
        self._file: Path | None = None

    def __enter__(self) -> Self:
        part = self._stack.part_name(self._name, self._index)
        self._file = self._stack.folder.hold_file_of(part)
        self._file.touch()
        self._stack.kill(self._name, self._index)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.unlink(missing_ok=True)
