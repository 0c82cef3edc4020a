"""The publisher on real Kafka: what it sends, refuses, and leaves behind when Kafka is away."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from mirsal_contracts.topics import NODE_COMMANDS_NOOP_V1, NODE_STATUSES_V1
from mirsal_runtime import broker
from mirsal_runtime.broker import (
    MAX_MESSAGE_BYTES,
    BrokerUnavailable,
    MessageTooLarge,
    Outgoing,
    Publisher,
)
from mirsal_runtime.settings import RuntimeSettings
from mirsal_runtime.topics import apply_topics
from mirsal_testing.servers import Server

TOPIC = NODE_STATUSES_V1.name
MESSAGES = [Outgoing(TOPIC, f"key-{number}", b"{}", [("name", b"value")]) for number in range(50)]


@pytest.fixture
async def settings(kafka_server: Server, kafka_prefix: str) -> RuntimeSettings:
    settings = RuntimeSettings.model_validate(
        {"kafka_bootstrap_servers": kafka_server.url, "topic_prefix": kafka_prefix}
    )
    await apply_topics(settings, [NODE_STATUSES_V1, NODE_COMMANDS_NOOP_V1])
    return settings


@pytest.fixture
async def publisher(settings: RuntimeSettings) -> AsyncIterator[Publisher]:
    publisher = Publisher(settings, send_seconds=1.0)
    yield publisher
    await publisher.stop()


async def read(settings: RuntimeSettings, topic: str) -> list[tuple[bytes | None, bytes | None]]:
    """The keys and values of a topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers)
    places = [TopicPartition(settings.topic_prefix + topic, number) for number in range(8)]
    await consumer.start()
    try:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        found: list[tuple[bytes | None, bytes | None]] = []
        async with asyncio.timeout(20):
            while len(found) < sum(ends.values()):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found += [(record.key, record.value) for record in records]
    finally:
        await consumer.stop()
    return found


def open_sockets() -> int:
    """How many sockets this process has open."""
    links = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            links.append(descriptor.readlink().name)
        except FileNotFoundError:
            continue
    return sum(link.startswith("socket:") for link in links)


async def until_as_before(tasks: int, sockets: int) -> None:
    """Until nothing more is left than there was."""
    async with asyncio.timeout(15):
        while len(asyncio.all_tasks()) > tasks or open_sockets() > sockets:
            await asyncio.sleep(0.1)


async def test_all_that_was_acknowledged_is_there(
    publisher: Publisher, settings: RuntimeSettings
) -> None:
    await publisher.send(MESSAGES)
    passed_on = Outgoing(TOPIC, None, b"\xff", [])
    await publisher.send([passed_on])
    expected = [(f"key-{number}".encode(), b"{}") for number in range(50)]
    assert sorted(await read(settings, TOPIC), key=str) == sorted(
        [*expected, (None, b"\xff")], key=str
    )


async def test_one_message_that_is_too_large_keeps_all_from_being_sent(
    publisher: Publisher, settings: RuntimeSettings
) -> None:
    topic = NODE_COMMANDS_NOOP_V1.name
    large = Outgoing(topic, "key", b"x" * MAX_MESSAGE_BYTES, [])
    with pytest.raises(MessageTooLarge):
        await publisher.send([Outgoing(topic, "key", b"small", []), large])
    assert await read(settings, topic) == []
    fits = large._replace(value=b"x" * (MAX_MESSAGE_BYTES - 1000))
    await publisher.send([fits])
    assert [value for _, value in await read(settings, topic)] == [fits.value]


@pytest.mark.parametrize("how", ["killed", "paused"])
async def test_an_outage_leaves_no_task_and_no_socket_behind(
    publisher: Publisher, kafka_server: Server, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    tasks, sockets = len(asyncio.all_tasks()), open_sockets()
    await publisher.send(MESSAGES)
    await (kafka_server.kill() if how == "killed" else kafka_server.pause())
    try:
        for _ in range(3):
            with pytest.raises(BrokerUnavailable):
                await publisher.send(MESSAGES)
        await until_as_before(tasks, sockets)
    finally:
        await (kafka_server.start() if how == "killed" else kafka_server.resume())
    async with asyncio.timeout(30):
        while True:
            try:
                await publisher.send(MESSAGES)
                break
            except BrokerUnavailable:
                continue
    await publisher.stop()
    await until_as_before(tasks, sockets)
    gc.collect()
    complaints = [each for each in caplog.records if each.name == "asyncio"]
    assert [each.getMessage() for each in complaints if each.levelno >= logging.ERROR] == []


async def test_stopping_while_kafka_is_away_takes_no_longer_than_seconds(
    settings: RuntimeSettings, kafka_server: Server
) -> None:
    publisher = Publisher(settings)
    tasks, sockets = len(asyncio.all_tasks()), open_sockets()
    await publisher.send(MESSAGES)
    await kafka_server.pause()
    try:
        sending = asyncio.create_task(publisher.send(MESSAGES))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(5):
            await publisher.stop()
        with pytest.raises(BrokerUnavailable):
            await sending
        await until_as_before(tasks, sockets)
    finally:
        await kafka_server.resume()


class Stuck:
    """A consumer whose end swallows its cancellation, as aiokafka's may."""

    def __init__(self) -> None:
        self._coordinator = None
        self._client = self
        self.swallowed = False
        self.cut = False

    async def stop(self) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        self.swallowed = True
        await asyncio.sleep(60)

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.cut = True


async def test_closing_a_consumer_ends_though_it_swallows_its_cancellation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(broker, "CLOSE_SECONDS", 0.1)
    stuck = Stuck()
    async with asyncio.timeout(5):
        await broker.close_consumer(cast("AIOKafkaConsumer", stuck), leave=True)
        while not stuck.swallowed:
            await asyncio.sleep(0)
    assert stuck.cut
