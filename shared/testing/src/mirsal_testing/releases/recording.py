"""Records a release at work: one message of each shape from every topic, and runs as stored."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from mirsal_contracts.topics import TOPICS
from mirsal_runtime.queries import load_queries

from mirsal_testing.releases.kept import GoldenMessage
from mirsal_testing.releases.scene import play
from mirsal_testing.releases.shapes import one_of_each, shape_of
from mirsal_testing.stack import Stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SQL = load_queries("mirsal_testing.releases")
SETTINGS = {"MIRSAL_RATE_LIMIT_PER_MINUTE": "0", "MIRSAL_NOOP_WORKERS": "1"}
READ_SECONDS = 60.0
LOOK_SECONDS = 0.03


async def record(state: Path, folder: Path) -> None:
    """Write `messages.jsonl` and `runs.jsonl` into `folder`, from a stack of its own in `state`.

    Raises `AssertionError` if a topic stayed empty: then the release is not known.
    """
    async with Stack(state, environment=SETTINGS) as stack:
        async with watch_states(stack.environment["DATABASE_URL"]) as states:
            await play(stack)
        messages = await read_messages(stack.environment["KAFKA_BOOTSTRAP_SERVERS"])
    silent = {topic.name for topic in TOPICS} - {message.topic for message in messages}
    if silent:
        raise AssertionError(f"nothing was recorded of {', '.join(sorted(silent))}")
    lines = [message.to_line() for message in messages]
    (folder / "messages.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    lines = [json.dumps(each, ensure_ascii=False) for each in states]
    (folder / "runs.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


async def read_messages(servers: str) -> list[GoldenMessage]:
    """One message of each shape, of all that lies in the topics, by topic and type."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [
            TopicPartition(topic.name, number)
            for topic in TOPICS
            for number in range(topic.partitions)
        ]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        await consumer.seek_to_beginning(*places)
        found: list[GoldenMessage] = []
        async with asyncio.timeout(READ_SECONDS):
            while len(found) < sum(ends.values()):
                batches = await consumer.getmany(timeout_ms=500)
                found += [_message_of(each) for batch in batches.values() for each in batch]
    finally:
        await consumer.stop()
    return sorted(one_of_each(found, _kind_of), key=lambda each: (each.topic, each.type))


def _message_of(record: Any) -> GoldenMessage:
    return GoldenMessage(record.topic, record.key, tuple(record.headers), record.value)


def _kind_of(message: GoldenMessage) -> tuple[str, frozenset[str]]:
    headers = {f"header {name}" for name, _ in message.headers}
    try:
        value = orjson.loads(message.value)
    except orjson.JSONDecodeError:
        value = None
    return f"{message.topic} {message.type}", shape_of(value) | headers


@asynccontextmanager
async def watch_states(database: str) -> AsyncIterator[list[dict[str, Any]]]:
    """`request` and `state` of the orchestrator's runs, one of each shape that they have meanwhile.

    The list is filled when the block ends.
    """
    seen: dict[str, dict[str, Any]] = {}
    chosen: list[dict[str, Any]] = []
    connection = await asyncpg.connect(database)
    try:
        watch = asyncio.create_task(_watch(connection, seen))
        yield chosen
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
    finally:
        await connection.close()
    chosen += one_of_each(seen.values(), lambda each: (each["state"]["status"], shape_of(each)))


async def _watch(
    connection: asyncpg.Connection[asyncpg.Record], seen: dict[str, dict[str, Any]]
) -> None:
    while True:
        for row in await connection.fetch(SQL["read_stored_runs"]):
            seen[row["state"]] = {name: orjson.loads(value) for name, value in row.items()}
        await asyncio.sleep(LOOK_SECONDS)
