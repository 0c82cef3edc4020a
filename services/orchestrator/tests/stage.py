"""An orchestrator's process with its topics and tables, and a connector that answers it."""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, TopicPartition
from mirsal_contracts.commands import RunNode
from mirsal_contracts.message import Envelope
from mirsal_contracts.requests import RunRequested
from mirsal_contracts.statuses import NodeFailed, NodeSucceeded
from mirsal_contracts.topics import (
    DEAD_LETTERS_ORCHESTRATOR_V1,
    EXECUTIONS_REQUESTED_V1,
    NODE_COMMANDS_NOOP_V1,
    NODE_STATUSES_V1,
    RUN_TIMERS_V1,
    Topic,
)
from mirsal_contracts.workflows import Graph
from mirsal_runtime.broker import BrokerUnavailable, Outgoing, Publisher
from mirsal_runtime.settings import RuntimeSettings
from mirsal_runtime.telemetry import new_traceparent
from mirsal_runtime.topics import apply_topics
from mirsal_testing.servers.server import Server
from orchestrator.rehearsal import LEAD, draw
from pydantic import SecretStr

TOPICS = (
    DEAD_LETTERS_ORCHESTRATOR_V1,
    EXECUTIONS_REQUESTED_V1,
    NODE_COMMANDS_NOOP_V1,
    NODE_STATUSES_V1,
    RUN_TIMERS_V1,
)
SEQUENCE = draw(["a", "b"], "a>b")
Answer = Callable[[RunNode], NodeSucceeded | NodeFailed]


def succeed(command: RunNode) -> NodeSucceeded:
    """What a connector that always works says."""
    return NodeSucceeded.model_validate(ids(command))


def ids(command: RunNode) -> dict[str, object]:
    """The members that a command and its status share."""
    now = datetime.now(UTC)
    return {**command.model_dump(), "started_at": now, "ended_at": now}


class Stage:
    """Topics and tables of one test, a connector that answers, and orchestrators."""

    def __init__(self, kafka: Server, database_url: str, prefix: str, folder: Path) -> None:
        self.settings = RuntimeSettings(
            kafka_bootstrap_servers=kafka.url,
            database_url=SecretStr(database_url),
            topic_prefix=prefix,
            instance="stage",
        )
        self.publisher = Publisher(self.settings)
        self.commands: list[RunNode] = []
        self.traces: dict[str, set[str]] = {}
        self.answer: Answer = succeed
        self._folder = folder
        self._processes: list[asyncio.subprocess.Process] = []

    async def start(self, number: int = 1, **environment: str) -> asyncio.subprocess.Process:
        """Start an orchestrator."""
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": self.settings.kafka_bootstrap_servers,
            "DATABASE_URL": self.settings.database_url.get_secret_value(),
            "MIRSAL_TOPIC_PREFIX": self.settings.topic_prefix,
            "MIRSAL_INSTANCE": f"orchestrator-{number}",
        }
        with (self._folder / f"orchestrator-{number}.log").open("a") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "orchestrator",
                env={**os.environ, **settings, **environment},
                stderr=log,
            )
        self._processes.append(process)
        return process

    async def logged(self, event: str, number: int = 1) -> None:
        """Until the orchestrator of this number has logged this."""
        async with asyncio.timeout(20):
            log = self._folder / f"orchestrator-{number}.log"
            while event not in log.read_text("utf-8"):
                await asyncio.sleep(0.05)

    async def request(self, count: int, graph: Graph = SEQUENCE) -> None:
        """Ask for so many runs."""
        for _ in range(count):
            message = RunRequested(
                workspace="w",
                run_id=str(uuid4()),
                workflow_id=f"flow-{len(graph.nodes)}",
                version=1,
                graph=graph,
                lead=LEAD,
                requested_at=datetime.now(UTC),
            )
            trace = new_traceparent()
            self.traces[message.run_id] = {trace[3:35]}
            headers = Envelope(
                "id", message.TYPE, "test", message.run_id, "w", traceparent=trace
            ).to_headers()
            await self.send(
                Outgoing(EXECUTIONS_REQUESTED_V1.name, message.run_id, message.to_json(), headers)
            )

    async def load(self, count: int) -> None:
        """Ask for so many runs, at a steady pace."""
        for _ in range(count):
            await self.request(1)
            await asyncio.sleep(0.02)

    async def send(self, *messages: Outgoing) -> None:
        """Send until Kafka has acknowledged all, as every client of ours does."""
        while True:
            with suppress(BrokerUnavailable):
                return await self.publisher.send(messages)

    async def make_topics(self) -> None:
        """The topics, once every partition has its leader."""
        await apply_topics(self.settings, TOPICS)
        consumer = self.reader(*TOPICS)
        await consumer.start()
        await consumer.end_offsets(consumer.assignment())
        await consumer.stop()

    def reader(self, *topics: Topic) -> AIOKafkaConsumer:
        """A consumer of all partitions from their beginning, not started."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka_bootstrap_servers, auto_offset_reset="earliest"
        )
        prefix = self.settings.topic_prefix
        consumer.assign(
            [
                TopicPartition(prefix + topic.name, number)
                for topic in topics
                for number in range(topic.partitions)
            ]
        )
        return consumer

    async def connect(self) -> None:
        """The connector: answers every command, until cancelled."""
        consumer = self.reader(NODE_COMMANDS_NOOP_V1)
        await consumer.start()
        try:
            while True:
                found = await consumer.getmany(timeout_ms=100)
                answers = []
                for record in (record for records in found.values() for record in records):
                    command = RunNode.model_validate_json(record.value or b"")
                    envelope = Envelope.from_headers(record.headers)
                    self.commands.append(command)
                    self.traces[command.run_id].add(envelope.traceparent[3:35])
                    status = self.answer(command)
                    headers = envelope._replace(type=status.TYPE).to_headers()
                    answers.append(
                        Outgoing(NODE_STATUSES_V1.name, command.run_id, status.to_json(), headers)
                    )
                await self.send(*answers)
        finally:
            await consumer.stop()

    async def stop(self) -> None:
        """End what is left."""
        for process in self._processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
        await self.publisher.stop()
