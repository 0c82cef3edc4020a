"""The bare worker: a command becomes a status, with or without one call of the provider."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

import aiohttp
import orjson

from mirsal_testing.bench.raw.clients import (
    BATCH,
    Commits,
    content_of,
    make_consumer,
    make_producer,
)
from mirsal_testing.bench.raw.wire import MESSAGE_PATH, status_letters, step_of, topics_of

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition

IN_FLIGHT = 50


class Provider:
    """Calls the provider over kept connections; without a URL there is nothing to call."""

    def __init__(self, url: str | None, session: aiohttp.ClientSession) -> None:
        self._url = None if url is None else url + MESSAGE_PATH
        self._session = session

    async def call(self, command: dict[str, object]) -> None:
        """Send the command's message as the Cloud API takes it; any answer but 200 is an error."""
        if self._url is None:
            return
        config = command["config"]
        assert isinstance(config, dict)  # noqa: S101 - our own message
        body = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": config["to"],
            "type": "text",
            "text": {"body": config["text"]},
            "biz_opaque_callback_data": command["commandId"],
        }
        headers = {"authorization": "Bearer bench", "content-type": "application/json"}
        async with self._session.post(
            self._url, data=orjson.dumps(body), headers=headers
        ) as answer:
            answer.raise_for_status()
            orjson.loads(await answer.read())


class Worker:
    """Has up to 50 commands in flight; commits below the oldest one that is not done."""

    def __init__(
        self, producer: AIOKafkaProducer, provider: Provider, topic: str, *, calls: bool
    ) -> None:
        self._producer = producer
        self._provider = provider
        self._topic = topic
        self._letters = status_letters(provider=calls)
        self._slots = asyncio.Semaphore(IN_FLIGHT if calls else BATCH)
        self._open: dict[TopicPartition, dict[int, None]] = defaultdict(dict)
        self._seen: dict[TopicPartition, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self, part: TopicPartition, record: ConsumerRecord[bytes, bytes]) -> None:
        """Start on a command; returns when there is a slot for it."""
        await self._slots.acquire()
        self._open[part][record.offset] = None
        self._seen[part] = record.offset + 1
        task = asyncio.create_task(self._work(part, record))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def done(self) -> dict[TopicPartition, int]:
        """The offsets below which everything is done."""
        return {part: min(self._open[part], default=end) for part, end in self._seen.items()}

    async def _work(self, part: TopicPartition, record: ConsumerRecord[bytes, bytes]) -> None:
        run_id, asked = content_of(record)
        command = orjson.loads(asked)
        await self._provider.call(command)
        value, headers = self._letters[step_of(command["nodeId"])].write(run_id)
        await self._producer.send_and_wait(self._topic, value=value, key=run_id, headers=headers)
        del self._open[part][record.offset]
        self._slots.release()


async def work(name: str, kafka: str, provider_url: str | None) -> None:
    """Work until cancelled."""
    topics = topics_of(name)
    consumer = make_consumer(kafka, [topics.commands], f"{name}.worker")
    producer = make_producer(kafka)
    commits = Commits(consumer)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=IN_FLIGHT), timeout=aiohttp.ClientTimeout(total=30)
    ) as session:
        provider = Provider(provider_url, session)
        worker = Worker(producer, provider, topics.statuses, calls=provider_url is not None)
        await consumer.start()
        await producer.start()
        try:
            while True:
                polled = await consumer.getmany(timeout_ms=200, max_records=BATCH)
                for part, records in polled.items():
                    for record in records:
                        await worker.begin(part, record)
                commits.note(worker.done())
        finally:
            await producer.stop()
            await consumer.stop()
