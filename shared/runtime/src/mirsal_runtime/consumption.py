"""The consumer loop: reads records, commits what is done, and rebuilds a client that is deaf.

See docs/decisions/0001-own-consumer-loop.md for why it is our own.
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Protocol

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from mirsal_runtime import metrics
from mirsal_runtime.ages import Ages
from mirsal_runtime.broker import close_consumer, make_consumer
from mirsal_runtime.complaints import Complaint
from mirsal_runtime.failpoints import pass_by
from mirsal_runtime.settings import RuntimeSettings
from mirsal_runtime.tasks import cancel
from mirsal_runtime.watermarks import Watermark

POLL_MILLISECONDS = 200
JOIN_SECONDS = 30.0
RETRY_SECONDS = 0.2
REBUILD_SECONDS = 0.5
# Where there is room for only a few records, a moment's wait makes it more.
FEW_RECORDS = 50
FEW_SECONDS = 0.005
COMMIT_SECONDS = 0.2
COMMIT_DEADLINE_SECONDS = 5.0
LAST_COMMIT_SECONDS = 1.0
WATCH_SECONDS = 2.0
WATCH_DEADLINE_SECONDS = 5.0
FAILING_SECONDS = 15.0
DEAF_SECONDS = 10.0
DEAF_TIMES = 3
IDLE_SECONDS = 60.0
DEAD_SECONDS = 120.0

log = structlog.get_logger(__name__)


class Deaf(Exception):
    """The client no longer does its work, though it says nothing."""


class Taker(Protocol):
    """Who takes the records."""

    def accept(
        self, records: Sequence[ConsumerRecord[bytes, bytes]], watermark: Watermark
    ) -> str | None:
        """Take records of one partition, in order; does not wait."""

    async def let_go(self, watermarks: Collection[Watermark]) -> None:
        """Partitions are being taken away; returns soon, with as much done as can be."""


class Consumption:
    """Reads one topic as a member of a group, with at most `window` records open at a time."""

    def __init__(
        self,
        settings: RuntimeSettings,
        topic: str,
        *,
        group: str,
        window: int,
        taker: Taker,
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._group = group
        self._window = window
        self._taker = taker
        self._watermarks: dict[TopicPartition, Watermark] = {}
        self._consumer: AIOKafkaConsumer | None = None
        self._room = asyncio.Event()
        self._committing = asyncio.Lock()
        self._turned_at = time.monotonic()
        self._lag = metrics.CONSUMER_LAG.labels(topic)
        self._records_open = metrics.RECORDS_OPEN.labels(topic)
        self._records_read = metrics.RECORDS_READ.labels(topic)
        self._oldest = metrics.CONSUMER_OLDEST.labels(topic)
        self._ages = Ages()
        self._closing: asyncio.Task[None] | None = None
        self._rebuilt = Complaint("consumer_rebuilt")
        self._deaf_times = 0
        self._stopped: str | None = None
        self._trouble: str | None = "has not joined its group yet"

    @property
    def reason(self) -> str | None:
        """Why it does not read, for readiness."""
        return self._stopped or self._trouble

    def dead(self) -> str | None:
        """Why only a restart would help, for liveness."""
        silent = time.monotonic() - self._turned_at
        if silent > DEAD_SECONDS:
            return f"the consumer loop has been silent for {silent:.0f} s"
        if self._deaf_times >= DEAF_TIMES:
            return f"{self._deaf_times} clients in a row have read nothing"
        return None

    async def run(self) -> None:
        """Read until cancelled; builds a new client for one that fails."""
        while True:
            self._turned_at = time.monotonic()
            try:
                await self._read_with_one_client()
            except (KafkaError, TimeoutError, Deaf) as error:
                self._trouble = f"has no working client: {error!r}"
                self._rebuilt.say(error=error)
            await self._abandon()
            await asyncio.sleep(REBUILD_SECONDS)

    async def close(self) -> None:
        """Commit what is done, and close the client; never takes longer than a few seconds."""
        if self._consumer is not None:
            with suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(LAST_COMMIT_SECONDS):
                    await self._commit(self._consumer)
        await self._abandon()

    async def _read_with_one_client(self) -> None:
        listener = _Listener(self)
        consumer = make_consumer(
            self._settings, [self._topic], group=self._group, listener=listener
        )
        self._consumer = listener.consumer = consumer
        async with asyncio.timeout(JOIN_SECONDS):
            await consumer.start()
        self._trouble = None
        tasks = [
            asyncio.create_task(self._read(consumer)),
            asyncio.create_task(self._keep_committing(consumer)),
            asyncio.create_task(self._watch(consumer)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await cancel(*tasks)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        patience = Patience()
        while True:
            self._turned_at = time.monotonic()
            room = self._window - self._count_open()
            if room <= 0 or self._stopped:
                await self._wait_for_room(consumer)
                continue
            if room < FEW_RECORDS:
                await asyncio.sleep(FEW_SECONDS)
            try:
                async with asyncio.timeout(JOIN_SECONDS):
                    batches = await consumer.getmany(timeout_ms=POLL_MILLISECONDS, max_records=room)
            except KafkaError as error:
                patience.failed(error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            patience.worked()
            for partition, records in batches.items():
                self._hand_over(partition, records)

    def _hand_over(
        self, partition: TopicPartition, records: Sequence[ConsumerRecord[bytes, bytes]]
    ) -> None:
        if self._stopped is not None:
            return
        self._deaf_times = 0
        watermark = self._watermarks.get(partition)
        if watermark is None:
            watermark = self._watermarks[partition] = Watermark(self._room.set)
        self._records_read.inc(len(records))
        self._ages.note(partition, records)
        self._stopped = self._taker.accept(records, watermark)
        if self._stopped is not None:
            log.error("consumption_stopped", topic=partition.topic)

    async def _wait_for_room(self, consumer: AIOKafkaConsumer) -> None:
        """A client that is not asked for records for minutes leaves its group: ask for none."""
        self._room.clear()
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                await self._room.wait()
        except TimeoutError:
            partitions = consumer.assignment()
            consumer.pause(*partitions)
            await consumer.getmany(timeout_ms=0)
            consumer.resume(*(partitions & consumer.assignment()))

    async def _keep_committing(self, consumer: AIOKafkaConsumer) -> None:
        patience = Patience()
        while True:
            await asyncio.sleep(COMMIT_SECONDS)
            self._records_open.set(self._count_open())
            self._oldest.set(self._ages.oldest(self._watermarks))
            try:
                await self._commit(consumer)
            except (KafkaError, TimeoutError) as error:
                patience.failed(error)
            else:
                patience.worked()

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        """Commit each partition's news; a partition that is not ours now is left out, as one
        such would fail the call for all."""
        async with self._committing:
            assigned = consumer.assignment()
            offsets = {
                partition: watermark.news
                for partition, watermark in self._watermarks.items()
                if watermark.news is not None and partition in assigned
            }
            if not offsets:
                return
            marks = {partition: self._watermarks[partition] for partition in offsets}
            pass_by("before_commit")
            async with asyncio.timeout(COMMIT_DEADLINE_SECONDS):
                await consumer.commit(offsets)
            pass_by("after_commit")
            for partition, offset in offsets.items():
                marks[partition].committed(offset)

    async def _watch(self, consumer: AIOKafkaConsumer) -> None:
        """Measure the lag, and notice a client that reads nothing although there is something."""
        stuck: dict[TopicPartition, tuple[int, float]] = {}
        patience = Patience()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                async with asyncio.timeout(WATCH_DEADLINE_SECONDS):
                    positions = await self._find_positions(consumer)
            except (KafkaError, TimeoutError) as error:
                patience.failed(error)
                stuck = {}
                continue
            patience.worked()
            now = time.monotonic()
            idle = self._stopped or self._count_open() >= self._window
            behind = {
                partition: position
                for partition, (position, end) in positions.items()
                if position < end and not idle
            }
            stuck = {
                partition: stuck[partition]
                if partition in stuck and stuck[partition][0] == position
                else (position, now)
                for partition, position in behind.items()
            }
            if any(now - since > DEAF_SECONDS for _, since in stuck.values()):
                self._deaf_times += 1
                raise Deaf(f"nothing read for {DEAF_SECONDS:g} s although there is something")

    async def _find_positions(
        self, consumer: AIOKafkaConsumer
    ) -> dict[TopicPartition, tuple[int, int]]:
        """Where each partition is read next, and its end."""
        partitions = list(consumer.assignment())
        if not partitions:
            self._lag.set(0)
            return {}
        ends = await consumer.end_offsets(partitions)
        found = {each: (await consumer.position(each), ends[each]) for each in partitions}
        lag = 0
        for partition, (position, end) in found.items():
            watermark = self._watermarks.get(partition)
            done = watermark.committable if watermark is not None else None
            lag += end - (position if done is None else done)
        self._lag.set(lag)
        return found

    async def give_back(self, consumer: AIOKafkaConsumer) -> None:
        """All partitions are being taken away, some perhaps to come back at once."""
        if consumer is not self._consumer:
            return
        await self._taker.let_go(self._watermarks.values())
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(LAST_COMMIT_SECONDS):
                await self._commit(consumer)
        self._watermarks.clear()
        self._room.set()

    async def _abandon(self) -> None:
        consumer, self._consumer = self._consumer, None
        watermarks = list(self._watermarks.values())
        self._watermarks.clear()
        if watermarks:
            await self._taker.let_go(watermarks)
        if consumer is not None:
            self._closing = asyncio.create_task(
                close_consumer(consumer, leave=self._settings.leave_group)
            )
        if self._closing is not None:
            # Whoever is cancelled here leaves it to `close` to wait for the rest.
            await asyncio.shield(self._closing)

    def _count_open(self) -> int:
        return sum(map(len, self._watermarks.values()))


class Patience:
    """How long something may fail before its client is given up."""

    def __init__(self) -> None:
        self._since: float | None = None

    def worked(self) -> None:
        """It works."""
        self._since = None

    def failed(self, error: BaseException) -> None:
        """It failed. Raises `Deaf` when it has for too long."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            log.warning("consumer_fails", error=error)
        elif now - self._since > FAILING_SECONDS:
            raise Deaf(f"failing for {FAILING_SECONDS:g} s: {error!r}") from error


class _Listener(ConsumerRebalanceListener):
    """aiokafka is eager: in a rebalance all partitions are revoked first."""

    def __init__(self, consumption: Consumption) -> None:
        self._consumption = consumption
        self.consumer: AIOKafkaConsumer | None = None

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """See `Consumption.give_back`."""
        if self.consumer is not None:
            await self._consumption.give_back(self.consumer)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Tell people."""
        log.info("partitions_assigned", partitions=sorted(each.partition for each in assigned))
