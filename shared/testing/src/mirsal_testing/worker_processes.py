"""Connector processes on real servers, for tests that kill them.

A `Field` is one test's topics and database; it sends commands and gathers statuses. Processes are
started by command line, so that any connector can be tried.
"""

import asyncio
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from mirsal_contracts.commands import RunNode
from mirsal_contracts.statuses import (
    NODE_STATUS,
    NodeFailed,
    NodeSucceeded,
    NodeUnconfirmed,
)
from mirsal_contracts.topics import COMMANDS, DEAD_LETTERS, NODE_STATUSES_V1, Topic
from mirsal_runtime.broker import Outgoing, Publisher
from mirsal_runtime.settings import RuntimeSettings
from mirsal_runtime.tasks import cancel
from mirsal_runtime.topics import apply_topics

from mirsal_testing.commands import command_message
from mirsal_testing.servers.ports import free_port

Status = NodeSucceeded | NodeFailed | NodeUnconfirmed

WAIT_SECONDS = 40.0


class WorkerProcess:
    """One process of a connector; started again, it has the same name and the same state."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._arguments = arguments
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self.log = log
        self.health_url = f"http://127.0.0.1:{environment['MIRSAL_HEALTH_PORT']}"

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        if self._process is None:
            raise LookupError("the process was never started")
        return self._process.pid

    async def start(self, **environment: str) -> None:
        """Start the process, with more environment variables; does not wait until it is ready."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments,
                env={**os.environ, **self._environment, **environment},
                stderr=log,
            )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        if self._process is None:
            raise LookupError("the process was never started")
        async with asyncio.timeout(WAIT_SECONDS):
            return await self._process.wait()

    async def kill(self) -> None:
        """`kill -9`."""
        self.signal(signal.SIGKILL)
        await self.ended()

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def readiness(self) -> tuple[int, str]:
        """What /ready answers; 0 if nothing listens."""
        async with httpx.AsyncClient() as client:
            try:
                answer = await client.get(f"{self.health_url}/ready", timeout=3.0)
            except httpx.TransportError as error:
                return 0, repr(error)
        return answer.status_code, answer.text

    async def until_ready(self) -> None:
        """Wait until /ready answers 200."""
        await self.until_readiness(200)

    async def until_readiness(self, status: int, text: str = "") -> None:
        """Wait until /ready answers `status` and holds `text`."""
        found: tuple[int, str] = (0, "")
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while not (found[0] == status and text in found[1]):
                    found = await self.readiness()
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise AssertionError(f"never {status} {text!r}, but {found}; {self.tail()}") from error

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text("utf-8", "replace")[-3000:]


class Field:
    """One test's topics, database and processes. Make it with `open_field`."""

    def __init__(self, settings: RuntimeSettings, folder: Path, connector: str) -> None:
        self.settings = settings
        self.folder = folder
        self.topics: list[Topic] = [
            COMMANDS[connector],
            DEAD_LETTERS[connector],
            NODE_STATUSES_V1,
        ]
        self._publisher = Publisher(settings, send_seconds=10.0)
        self._processes: list[WorkerProcess] = []
        self._news = asyncio.Event()
        self.statuses: dict[str, list[Status]] = defaultdict(list)
        """What was reported of each run, in order."""
        self.arrivals: dict[str, float] = {}
        """When each command's first status was here, in seconds of the wall clock."""

    def process(self, name: str, arguments: Sequence[str], **environment: str) -> WorkerProcess:
        """A process that is not started yet; the test's end kills it."""
        common = {
            "KAFKA_BOOTSTRAP_SERVERS": self.settings.kafka_bootstrap_servers,
            "DATABASE_URL": self.settings.database_url.get_secret_value(),
            "MIRSAL_TOPIC_PREFIX": self.settings.topic_prefix,
            "MIRSAL_INSTANCE": name,
            "MIRSAL_STATE_DIR": str(self.folder),
            "MIRSAL_HEALTH_PORT": str(free_port()),
        }
        log = self.folder / f"{name}.log"
        process = WorkerProcess([sys.executable, *arguments], common | environment, log)
        self._processes.append(process)
        return process

    async def make_topics(self) -> None:
        """Make this test's topics."""
        await apply_topics(self.settings, self.topics)

    async def send(self, commands: Collection[RunNode]) -> None:
        """Send commands, as the orchestrator would."""
        await self.send_messages([command_message(command) for command in commands])

    async def send_messages(self, messages: Sequence[Outgoing]) -> None:
        """Send any messages."""
        await self._publisher.send(messages)

    async def until_reported(self, commands: Collection[RunNode]) -> None:
        """Wait until every command's attempt has a status."""
        missing = {command.command_id for command in commands}
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while missing:
                    self._news.clear()
                    missing -= {s.command_id for found in self.statuses.values() for s in found}
                    if missing:
                        await self._news.wait()
        except TimeoutError as error:
            tails = "\n".join(process.tail() for process in self._processes)
            raise AssertionError(f"{len(missing)} never reported: {tails}") from error

    async def read_messages(
        self, topic: Topic, count: int
    ) -> list[tuple[bytes | None, dict[str, bytes]]]:
        """The first `count` values of a topic, with their headers."""
        found: list[tuple[bytes | None, dict[str, bytes]]] = []
        async with asyncio.timeout(WAIT_SECONDS), self._reader(topic) as consumer:
            while len(found) < count:
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found += [(record.value, dict(record.headers)) for record in records]
        return found

    async def read_committed(self, group: str) -> tuple[int, int]:
        """The committed offsets of the commands' topic, and its ends, each summed up."""
        name = self.settings.topic_prefix + self.topics[0].name
        partitions = [TopicPartition(name, n) for n in range(self.topics[0].partitions)]
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka_bootstrap_servers,
            group_id=self.settings.topic_prefix + group,
            enable_auto_commit=False,
        )
        await consumer.start()
        try:
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            committed = [await consumer.committed(each) or 0 for each in partitions]
        finally:
            await consumer.stop()
        return sum(committed), sum(ends.values())

    async def gather(self) -> None:
        """Gather statuses until cancelled."""
        async with self._reader(NODE_STATUSES_V1) as consumer:
            while True:
                found = await consumer.getmany(timeout_ms=100)
                now = time.time()
                for records in found.values():
                    for record in records:
                        status = NODE_STATUS.validate_json(record.value or b"")
                        self.statuses[status.run_id].append(status)
                        self.arrivals.setdefault(status.command_id, now)
                self._news.set()

    async def close(self) -> None:
        """Kill the processes, close the clients."""
        for process in self._processes:
            process.signal(signal.SIGCONT)
            with suppress(LookupError):
                await process.kill()
        await self._publisher.stop()

    @asynccontextmanager
    async def _reader(self, topic: Topic) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka_bootstrap_servers,
            auto_offset_reset="earliest",
            metadata_max_age_ms=2_000,
        )
        await consumer.start()
        try:
            name = self.settings.topic_prefix + topic.name
            consumer.assign([TopicPartition(name, n) for n in range(topic.partitions)])
            yield consumer
        finally:
            await consumer.stop()


@asynccontextmanager
async def open_field(
    settings: RuntimeSettings, folder: Path, *, connector: str = "noop", topics: bool = True
) -> AsyncIterator[Field]:
    """A field whose topics exist and whose statuses are gathered."""
    field = Field(settings, folder, connector)
    gathering: asyncio.Task[None] | None = None
    try:
        if topics:
            await field.make_topics()
            gathering = asyncio.create_task(field.gather())
        yield field
    finally:
        if gathering is not None:
            await cancel(gathering)
        await field.close()
