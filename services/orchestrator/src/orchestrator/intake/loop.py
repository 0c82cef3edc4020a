"""The consumer of the three topics: batches filled by back-pressure, one at a time."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError
from mirsal_runtime.broker import close_consumer, make_consumer
from mirsal_runtime.complaints import Complaint
from mirsal_runtime.settings import RuntimeSettings
from mirsal_runtime.tasks import cancel

from orchestrator.intake.offsets import Offsets
from orchestrator.intake.records import TOPICS
from orchestrator.intake.settling import Settler
from orchestrator.intake.watch import measure_batch, watch_consumer

GROUP = "orchestrator"
POLL_MILLISECONDS = 500
JOIN_SECONDS = 30.0
REVOKE_SECONDS = 2.0
REBUILD_SECONDS = 0.5

log = structlog.get_logger(__name__)


class BatchGivenUp(Exception):
    """The batch is not ours any more, or the process ends: its records will be read again."""


class Intake:
    """Takes what Kafka has, and settles it. One of a process."""

    def __init__(
        self,
        settings: RuntimeSettings,
        settler: Settler,
        *,
        expect: Callable[[datetime], None],
        batch_records: int = 500,
    ) -> None:
        self._settings = settings
        self._settler = settler
        self._expect = expect
        self._batch_records = batch_records
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._drained = 0
        self._replaced = Complaint("consumer_replaced")
        self.has_assignment = False
        """Whether the group has given this process its partitions, which may be none."""

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop`; a batch under way is finished first, if the servers answer."""
        consuming = asyncio.create_task(self._keep_consuming())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({consuming, stopping}, return_when=asyncio.FIRST_COMPLETED)
            self._stopping.set()
            if not consuming.done():
                await self._idle.wait()
        finally:
            await cancel(stopping, consuming)
            if self._closing is not None:
                await self._closing
        if not consuming.cancelled():
            consuming.result()

    async def _keep_consuming(self) -> None:
        """A consumer that failed, or went deaf, is replaced by a new one."""
        while True:
            try:
                await self._consume()
            except (KafkaError, OSError, TimeoutError) as error:
                self._replaced.say(error=repr(error))
            await asyncio.sleep(REBUILD_SECONDS)

    async def _consume(self) -> None:
        listener = _Listener(self)
        consumer = make_consumer(self._settings, TOPICS, group=GROUP, listener=listener)
        offsets = listener.offsets = Offsets(consumer)
        tasks: list[asyncio.Task[None]] = []
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                await consumer.start()
            tasks = [
                asyncio.create_task(work)
                for work in (
                    self._take_batches(consumer, offsets),
                    offsets.keep_committing(),
                    watch_consumer(consumer, self._settings.topic_prefix, lambda: self._drained),
                )
            ]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            # Whoever is cancelled here, and perhaps again, leaves it to `run` to wait for the rest.
            self._closing = asyncio.create_task(self._close(consumer, offsets, tasks))
            await asyncio.shield(self._closing)

    async def _close(
        self, consumer: AIOKafkaConsumer, offsets: Offsets, tasks: list[asyncio.Task[None]]
    ) -> None:
        self.has_assignment = False
        await cancel(*tasks)
        await offsets.commit()
        await close_consumer(consumer, leave=self._settings.leave_group)

    async def _take_batches(self, consumer: AIOKafkaConsumer, offsets: Offsets) -> None:
        while True:
            # Longer than the poll it takes only while the group is in the middle of a rebalance.
            async with asyncio.timeout(JOIN_SECONDS):
                batch = await consumer.getmany(
                    timeout_ms=POLL_MILLISECONDS, max_records=self._batch_records
                )
            generation = offsets.generation
            records = [record for each in batch.values() for record in each]
            self._drained += len(records) < self._batch_records
            if not records:
                continue
            measure_batch(batch, self._settings.topic_prefix)
            self._idle.clear()
            try:
                wake_at = await self._settler.settle(
                    records, partial(self._wait, offsets, generation)
                )
                offsets.mark(batch, generation)
                if wake_at is not None:
                    self._expect(wake_at)
            except BatchGivenUp:
                log.info("batch_given_up", records=len(records))
            finally:
                self._idle.set()

    async def _wait(self, offsets: Offsets, generation: int, seconds: float) -> None:
        """Wait within a batch read under `generation`; raises `BatchGivenUp`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        if self._stopping.is_set() or offsets.generation != generation:
            raise BatchGivenUp

    async def give_up_partitions(self, offsets: Offsets) -> None:
        """Let the batch under way end, if it does soon, and commit what is done."""
        self.has_assignment = False
        with suppress(TimeoutError):
            async with asyncio.timeout(REVOKE_SECONDS):
                await self._idle.wait()
        await offsets.commit()
        offsets.begin_generation()
        self._settler.memory.forget_all()


class _Listener(ConsumerRebalanceListener):
    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.offsets: Offsets | None = None

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        if self.offsets is not None:
            await self._intake.give_up_partitions(self.offsets)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._intake.has_assignment = True
        log.info("partitions_assigned", partitions=len(assigned))
