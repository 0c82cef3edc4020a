"""What runs the code: the service on real servers, or the boxes alone; behind one face."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from asyncio.subprocess import PIPE
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

import orjson
import psutil
from mirsal_contracts.statuses import NodeFailed, NodeSucceeded
from mirsal_runtime.settings import RuntimeSettings
from pydantic import SecretStr

from mirsal_testing.bench.code.bare import READY_LINE
from mirsal_testing.bench.code.workload import make_messages
from mirsal_testing.bench.target import BenchError
from mirsal_testing.servers.cache import cache_folder
from mirsal_testing.worker_processes import Field, WorkerProcess, open_field

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from mirsal_runtime.broker import Outgoing

    from mirsal_testing.bench.code.workload import Pace
    from mirsal_testing.servers import Servers

STALL_SECONDS = 60.0
POLL_SECONDS = 0.05
# A longer line is no answer of ours.
MOST_ANSWER = 16 * 1024 * 1024


class Execution(NamedTuple):
    """One run: when it was due, when Kafka had its command, when its result was there."""

    due: float
    accepted: float
    ended: float


class Use(NamedTuple):
    """Bytes of memory that are shared with nobody, and open descriptors."""

    memory: int
    descriptors: int


class CodeTarget(Protocol):
    """Something that runs code at a pace."""

    def processes(self) -> Mapping[str, int]:
        """The processes that do the work, servers too, by name."""

    async def carry_out(self, pace: Pace) -> Sequence[Execution]:
        """Run all. Raises `BenchError` where one did not succeed or came back twice."""


class Service:
    """The code runner's process between Kafka and PostgreSQL, with this process at both ends."""

    def __init__(self, servers: Servers, field: Field, process: WorkerProcess) -> None:
        self._servers = servers
        self._field = field
        self._process = process

    def processes(self) -> Mapping[str, int]:
        servers = {server.name: server.pid for server in self._servers.all}
        own = {name: pid for name, pid in servers.items() if pid is not None and name != "valkey"}
        return {"code-runner": self._process.pid, **own}

    async def carry_out(self, pace: Pace) -> Sequence[Execution]:
        messages = make_messages(pace)
        self._forget()
        start = time.time()
        due = {command: start + pace.due(number) for number, command in enumerate(messages)}
        if pace.rate is None:
            await self._field.send_messages(list(messages.values()))
            accepted = dict.fromkeys(messages, time.time())
        else:
            sends = (self._send(message, due[command]) for command, message in messages.items())
            accepted = dict(zip(messages, await asyncio.gather(*sends), strict=True))
        await self._until_reported(pace.count)
        self._check(pace.count)
        arrivals = self._field.arrivals
        return [
            Execution(due[command], accepted[command], arrivals[command]) for command in messages
        ]

    async def time_out(self, message: Outgoing) -> float:
        """Have a code run into its limit: seconds from its command to the status that says so."""
        self._forget()
        begun = time.time()
        await self._field.send_messages([message])
        await self._until_reported(1)
        ((status,),) = self._field.statuses.values()
        if not isinstance(status, NodeFailed) or status.error.outcome != "timeout":
            raise BenchError(f"code without an end ended: {status}")
        return max(self._field.arrivals.values()) - begun

    def use(self) -> Use:
        """What its processes hold now, Kafka and PostgreSQL apart."""
        runner = psutil.Process(self._process.pid)
        family = [runner, *runner.children(recursive=True)]
        return Use(
            sum(each.memory_full_info().uss for each in family),
            sum(each.num_fds() for each in family),
        )

    def _forget(self) -> None:
        self._field.statuses.clear()
        self._field.arrivals.clear()

    async def _send(self, message: Outgoing, due: float) -> float:
        await asyncio.sleep(max(0.0, due - time.time()))
        await self._field.send_messages([message])
        return time.time()

    async def _until_reported(self, count: int) -> None:
        best, progress = -1, time.monotonic()
        while (reported := len(self._field.arrivals)) < count:
            if reported > best:
                best, progress = reported, time.monotonic()
            if time.monotonic() > progress + STALL_SECONDS:
                raise BenchError(f"{reported} of {count} codes ran; {self._process.tail()}")
            await asyncio.sleep(POLL_SECONDS)

    def _check(self, count: int) -> None:
        statuses = [each for found in self._field.statuses.values() for each in found]
        wrong = [each for each in statuses if not isinstance(each, NodeSucceeded)]
        if wrong or len(statuses) != count:
            raise BenchError(f"{len(statuses)} statuses of {count}, wrong ones {wrong[:1]}")


class BareBoxes:
    """The boxes of one crew, asked without Kafka and PostgreSQL: the ceiling."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def processes(self) -> Mapping[str, int]:
        return {"bare boxes": self._process.pid}

    async def carry_out(self, pace: Pace) -> Sequence[Execution]:
        asked, answers = self._process.stdin, self._process.stdout
        if asked is None or answers is None:
            raise BenchError("the bare boxes have no pipes")
        asked.write(pace.model_dump_json().encode() + b"\n")
        line = await answers.readline()
        if not line:
            raise BenchError("the bare boxes failed; see their error above")
        return [Execution(due, due, ended) for due, ended in orjson.loads(line)]


@asynccontextmanager
async def open_service(servers: Servers, folder: Path) -> AsyncIterator[Service]:
    """A code runner of its own topics, ready."""
    settings = RuntimeSettings(
        kafka_bootstrap_servers=servers.kafka.url,
        database_url=SecretStr(servers.postgres.url),
        topic_prefix=f"bench-code-{time.time_ns():x}.",
    )
    async with open_field(settings, folder, connector="code") as field:
        # Room for a whole burst: of one workspace, half of the window may wait.
        given = {"MIRSAL_CACHE_DIR": str(cache_folder()), "MIRSAL_WINDOW": "4000"}
        migration = field.process("code-migration", ["-m", "code_runner.migrate"])
        await migration.start()
        if await migration.ended() != 0:
            raise BenchError(f"the code runner's schema could not be made: {migration.tail()}")
        process = field.process("code-runner", ["-m", "code_runner"], **given)
        await process.start()
        await process.until_ready()
        yield Service(servers, field, process)
        await process.stop()


@asynccontextmanager
async def open_bare() -> AsyncIterator[BareBoxes]:
    """The boxes of one crew, warm."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mirsal_testing.bench.code.bare"),
        stdin=PIPE,
        stdout=PIPE,
        limit=MOST_ANSWER,
        env={**os.environ, "MIRSAL_CACHE_DIR": str(cache_folder())},
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_end, process)
        if process.stdout is None or await process.stdout.readline() != READY_LINE:
            raise BenchError("the bare boxes did not start; see their error above")
        yield BareBoxes(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(10):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
