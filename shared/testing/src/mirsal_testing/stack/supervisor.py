"""The process behind a stack: starts all parts in order, restarts what dies, takes all down.

It is told to end by SIGTERM, and says how it is in the status file; nothing else talks to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import signal
import time
from typing import TYPE_CHECKING

from mirsal_testing.servers.log_tail import read_tail
from mirsal_testing.servers.processes import find_process, write_pid_file
from mirsal_testing.servers.server import ServerError
from mirsal_testing.stack.dotenv import write_env
from mirsal_testing.stack.folder import SUPERVISOR, StateFolder
from mirsal_testing.stack.jobs import Job, capture_line, run_job
from mirsal_testing.stack.orphans import end_orphans
from mirsal_testing.stack.part import ServiceProcess
from mirsal_testing.stack.plan import Plan
from mirsal_testing.stack.status import (
    PartStatus,
    Phase,
    StackStatus,
    State,
    write_status,
)
from mirsal_testing.stack.table import find_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from mirsal_testing.stack.part import Part

log = logging.getLogger("mirsal.stack")

START_SECONDS = 120.0
_TRIES_AT_START = 3
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 10.0
_LOOK_AGAIN = 0.5
_HOLD_POLL = 0.05
_OWNER_POLL = 1.0
ALREADY_SUPERVISED = 3


class Supervisor:
    """Runs one stack until it is told to stop or cannot start it."""

    def __init__(self, folder: StateFolder, plan: Plan) -> None:
        self._folder = folder
        self._plan = plan
        self._status = StackStatus()
        self._began = time.monotonic()
        self._stop = asyncio.Event()
        self._child_ended = asyncio.Event()
        self._services: list[Part] = []

    async def run(self) -> int:
        """The exit code: 0 after SIGTERM, 1 if the stack could not be started."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGCHLD, self._note_child)
        try:
            async with asyncio.TaskGroup() as keepers:
                keepers.create_task(self._supervise(keepers))
                if self._plan.owner is not None:
                    keepers.create_task(self._watch_owner(self._plan.owner))
                await self._stop.wait()
                raise _Stopped
        except* _Stopped:
            log.info("told to stop")
        except* ServerError as failures:
            self._status.message = str(_first(failures))
            log.error("cannot start: %s", self._status.message)
        await self._take_down()
        return 1 if self._status.message else 0

    async def _supervise(self, keepers: asyncio.TaskGroup) -> None:
        """Brings all up in the order in which they need each other."""
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._bring_up(keepers)
        except TimeoutError:
            raise self._late() from None
        self._status.seconds = round(time.monotonic() - self._began, 2)
        self._set_phase("ready")
        log.info("ready after %.1f s", self._status.seconds)

    async def _bring_up(self, keepers: asyncio.TaskGroup) -> None:
        simulators = self._begin_keeping(keepers, self._plan.simulators)
        kafka, postgres, valkey = (
            self._begin_keeping(keepers, [server]) for server in self._plan.servers.all
        )
        key = keepers.create_task(self._have_api_key())
        await asyncio.gather(
            self._prepare_postgres(postgres, key),
            self._run_jobs(self._plan.topics(), after=kafka),
        )
        await _all_set(valkey)
        self._services = list(self._plan.make_services())
        services = self._begin_keeping(keepers, self._services)
        self._write_env()
        await _all_set([*simulators, *services])

    async def _prepare_postgres(
        self, postgres: Sequence[asyncio.Event], key: asyncio.Task[None]
    ) -> None:
        await self._run_jobs(self._plan.migrations(), after=postgres)
        await key
        await self._run_jobs(self._plan.key_jobs(), after=())

    async def _have_api_key(self) -> None:
        if self._plan.keys_module is not None and self._plan.api_key is None:
            arguments = (self._plan.keys_module, "keys", "generate")
            self._plan.use_api_key(await capture_line(arguments, self._plan.job_environment()))

    async def _run_jobs(self, jobs: Sequence[Job], *, after: Iterable[asyncio.Event]) -> None:
        await _all_set(after)
        await asyncio.gather(*(self._run_job(job) for job in jobs))

    async def _run_job(self, job: Job) -> None:
        self._note(job.name, "starting")
        seconds = await run_job(job, self._folder, self._plan.kept)
        self._note(job.name, "done", seconds=seconds)

    def _begin_keeping(
        self, keepers: asyncio.TaskGroup, parts: Iterable[Part]
    ) -> list[asyncio.Event]:
        """An event for each part: set when it is ready for the first time."""
        events = []
        for part in parts:
            ready = asyncio.Event()
            keepers.create_task(self._keep(part, ready), name=part.name)
            events.append(ready)
        return events

    async def _keep(self, part: Part, ready: asyncio.Event) -> None:
        """Starts a part, and starts it again whenever it ends, at once if it had been ready."""
        failures = 0
        while True:
            began = time.monotonic()
            self._note(part.name, "starting").starts += 1
            try:
                await part.start()
            except ServerError as error:
                failures += 1
                log.warning("%s", error)
                if self._status.phase == "starting" and failures >= _TRIES_AT_START:
                    raise
            else:
                failures = 0
                self._note(part.name, "ready", part.pid, time.monotonic() - began)
                ready.set()
                await self._ended(part)
                if isinstance(part, ServiceProcess):
                    self._status.part(part.name).exit_code = part.exit_code
                log.warning("%s has ended", part.name)
            self._note(part.name, "down")
            await self._released(part.name)
            if failures:
                await asyncio.sleep(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**failures))

    async def _ended(self, part: Part) -> None:
        """Returns when its process is gone; a child's end is noticed at once."""
        while await part.is_running():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN):
                    await self._child_ended.wait()

    def _note_child(self) -> None:
        """Wakes all that wait for a child to end."""
        self._child_ended.set()
        self._child_ended = asyncio.Event()

    async def _released(self, name: str) -> None:
        while self._folder.hold_file_of(name).exists():  # noqa: ASYNC110 - a file sets no event
            await asyncio.sleep(_HOLD_POLL)

    async def _watch_owner(self, owner: Path) -> None:
        """Ends the stack when the process that it was started for is gone."""
        while find_process(owner) is not None:  # noqa: ASYNC110 - no child of ours
            await asyncio.sleep(_OWNER_POLL)
        log.info("the process that this stack was started for has ended")
        self._stop.set()

    async def _take_down(self) -> None:
        self._set_phase("failed" if self._status.message else "stopping")
        for parts in (self._services, self._plan.simulators, self._plan.servers.all):
            await asyncio.gather(*(self._stop_part(part) for part in parts))

    async def _stop_part(self, part: Part) -> None:
        began = time.monotonic()
        await part.stop()
        log.info("%s stopped in %.1f s", part.name, time.monotonic() - began)

    def _late(self) -> ServerError:
        late = [part for part in self._status.parts if part.state not in {"ready", "done"}]
        names = ", ".join(part.name for part in late)
        tails = "\n".join(read_tail(self._folder.log_of(part.name), 12) for part in late)
        return ServerError(f"not ready after {START_SECONDS:.0f} s: {names}\n{tails}")

    def _note(
        self, name: str, state: State, pid: int | None = None, seconds: float | None = None
    ) -> PartStatus:
        part = self._status.part(name)
        part.state, part.pid = state, pid
        part.seconds = None if seconds is None else round(seconds, 2)
        write_status(self._folder.status, self._status)
        return part

    def _set_phase(self, phase: Phase) -> None:
        self._status.phase = phase
        write_status(self._folder.status, self._status)

    def _write_env(self) -> None:
        values = self._plan.env_file()
        self._plan.kept.keep("given", " ".join(sorted(self._plan.names_given())))
        write_env(self._folder.env, values)


class _Stopped(Exception):
    """The stack was told to end."""


async def _all_set(events: Iterable[asyncio.Event]) -> None:
    for event in events:
        await event.wait()


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def supervise(folder: StateFolder) -> int:
    """Runs a stack in this process until SIGTERM; 3 if another supervisor has the folder."""
    folder.make()
    descriptor = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return ALREADY_SUPERVISED
    write_pid_file(folder.pid_file_of(SUPERVISOR), os.getpid())
    folder.rotate_logs()
    code = asyncio.run(_supervise(folder))
    if code == 0:
        shutil.rmtree(folder.run)
    else:
        folder.pid_file_of(SUPERVISOR).unlink()
    return code


async def _supervise(folder: StateFolder) -> int:
    ended = await end_orphans(folder)
    if ended:
        log.warning("ended what a killed supervisor had left: %s", ", ".join(ended))
    plan = Plan(folder, os.environ, find_table(os.environ))
    return await Supervisor(folder, plan).run()
