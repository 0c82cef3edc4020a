"""The bare processes' Kafka clients and the loop around them; nothing is retried or resumed."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from aiokafka import ConsumerRecord, TopicPartition

COMMIT_SECONDS = 0.2
BATCH = 500


def make_producer(kafka: str) -> AIOKafkaProducer:
    """Idempotent, acknowledged by all replicas, as Mirsal's own."""
    return AIOKafkaProducer(
        bootstrap_servers=kafka,
        acks="all",
        enable_idempotence=True,
        max_batch_size=256 * 1024,
        linger_ms=0,
    )


def make_consumer(kafka: str, topics: Sequence[str], group: str) -> AIOKafkaConsumer:
    """Commits nothing by itself, like Mirsal's own."""
    return AIOKafkaConsumer(
        *topics,
        bootstrap_servers=kafka,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=6_000,
        heartbeat_interval_ms=500,
        partition_assignment_strategy=(RangePartitionAssignor,),
    )


def content_of(record: ConsumerRecord[bytes, bytes]) -> tuple[bytes, bytes]:
    """Key and value; ours always have both."""
    return record.key or b"", record.value or b""


class Commits:
    """Commits what it was told of, at most every 200 ms and beside the work."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._offsets: dict[TopicPartition, int] = {}
        self._due = 0.0
        self._running: asyncio.Task[None] | None = None

    def note(self, offsets: dict[TopicPartition, int]) -> None:
        """Everything below these offsets is done."""
        self._offsets.update(offsets)
        idle = self._running is None or self._running.done()
        if idle and self._offsets and time.monotonic() >= self._due:
            self._due = time.monotonic() + COMMIT_SECONDS
            offsets, self._offsets = self._offsets, {}
            self._running = asyncio.create_task(self._consumer.commit(offsets))


async def _until_told(work: Coroutine[object, object, None]) -> None:
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return


def run_until_told(work: Coroutine[object, object, None]) -> None:
    """Run `work` on uvloop until SIGTERM."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_told(work))
