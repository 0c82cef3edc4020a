"""The consumer of the three topics: batches filled by back-pressure, in lanes side by side.

A run's records are all in partitions of one number, and a lane has all partitions of its numbers:
so a run is settled by one lane, one batch after the other, and while a lane waits for PostgreSQL
or Kafka the next one decides.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
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
from orchestrator.intake.records import TOPICS, Record
from orchestrator.intake.settling import Settler
from orchestrator.intake.watch import measure_batch, watch_consumer

GROUP = "orchestrator"
POLL_MILLISECONDS = 500
JOIN_SECONDS = 30.0
REVOKE_SECONDS = 2.0
REBUILD_SECONDS = 0.5
HANG_SECONDS = 180.0

log = structlog.get_logger(__name__)


class BatchGivenUp(Exception):
    """The batch is not ours any more, or the process ends: its records will be read again."""


class Intake:
    """Takes what Kafka has, and settles it, with a lane for each settler. One of a process."""

    def __init__(
        self,
        settings: RuntimeSettings,
        settlers: Sequence[Settler],
        *,
        expect: Callable[[datetime], None],
        batch_records: int = 500,
    ) -> None:
        self._settings = settings
        self._settlers = settlers
        self._expect = expect
        self._batch_records = batch_records
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._gate = asyncio.Event()
        self._stopping = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._drained = [0] * len(settlers)
        self._replaced = Complaint("consumer_replaced")
        self._begun_at: dict[int, float] = {}
        self.has_assignment = False
        """Whether the group has given this process its partitions, which may be none."""

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop`; batches under way are finished first, if the servers answer."""
        consuming = asyncio.create_task(self._keep_consuming())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({consuming, stopping}, return_when=asyncio.FIRST_COMPLETED)
            self._stopping.set()
            self._gate.clear()
            if not consuming.done():
                await self._idle.wait()
        finally:
            await cancel(stopping, consuming)
            if self._closing is not None:
                await self._closing
        if not consuming.cancelled():
            consuming.result()

    def find_hang(self) -> str | None:
        """Why only a restart would help, for liveness: a batch that neither ends nor waits for a
        server, though each of its calls has a deadline."""
        oldest = min(self._begun_at.values(), default=None)
        if oldest is None or time.monotonic() - oldest < HANG_SECONDS:
            return None
        return f"a batch has been under way for {time.monotonic() - oldest:.0f} s"

    async def _keep_consuming(self) -> None:
        """A consumer that failed, or went deaf, is replaced by a new one."""
        while True:
            try:
                await self._consume()
            except (KafkaError, OSError, TimeoutError) as error:
                self._replaced.say(error=error)
            await asyncio.sleep(REBUILD_SECONDS)

    async def _consume(self) -> None:
        listener = _Listener(self)
        consumer = make_consumer(self._settings, TOPICS, group=GROUP, listener=listener)
        offsets = listener.offsets = Offsets(consumer)
        tasks: list[asyncio.Task[None]] = []
        lanes = range(len(self._settlers))
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                await consumer.start()
            tasks = [
                asyncio.create_task(work)
                for work in (
                    *(self._take_batches(lane, consumer, offsets) for lane in lanes),
                    offsets.keep_committing(),
                    watch_consumer(consumer, self._settings.topic_prefix, self._count_drained),
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
        self._gate.clear()
        await cancel(*tasks)
        await offsets.commit()
        await close_consumer(consumer, leave=self._settings.leave_group)

    async def _take_batches(self, lane: int, consumer: AIOKafkaConsumer, offsets: Offsets) -> None:
        while True:
            await self._gate.wait()
            places = self._places(lane, consumer)
            if not places:
                self._drained[lane] += 1
                await asyncio.sleep(POLL_MILLISECONDS / 1000)
                continue
            # Longer than the poll it takes only while the group is in the middle of a rebalance.
            async with asyncio.timeout(JOIN_SECONDS):
                batch = await consumer.getmany(
                    *places, timeout_ms=POLL_MILLISECONDS, max_records=self._batch_records
                )
            if not self._gate.is_set():
                # The partitions are being given up: whoever has them next reads this again.
                continue
            self._drained[lane] += sum(map(len, batch.values())) < self._batch_records
            if batch:
                measure_batch(batch, self._settings.topic_prefix)
                await self._settle(lane, batch, offsets)

    async def _settle(
        self, lane: int, batch: Mapping[TopicPartition, Sequence[Record]], offsets: Offsets
    ) -> None:
        records = [record for each in batch.values() for record in each]
        generation = offsets.generation
        self._under_way += 1
        self._begun_at[lane] = time.monotonic()
        self._idle.clear()
        try:
            wake_at = await self._settlers[lane].settle(
                records, partial(self._wait, lane, offsets, generation)
            )
            offsets.mark(batch, generation)
            if wake_at is not None:
                self._expect(wake_at)
        except BatchGivenUp:
            log.info("batch_given_up", records=len(records))
        finally:
            self._under_way -= 1
            del self._begun_at[lane]
            if not self._under_way:
                self._idle.set()

    def _places(self, lane: int, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        """The partitions that this process has and that are this lane's."""
        lanes = len(self._settlers)
        return [place for place in consumer.assignment() if place.partition % lanes == lane]

    def _count_drained(self) -> int:
        """How often every lane took all that there was for it."""
        return min(self._drained)

    async def _wait(self, lane: int, offsets: Offsets, generation: int, seconds: float) -> None:
        """Wait within a batch read under `generation`; raises `BatchGivenUp`."""
        # Servers that are away are no hang: this process does what it can.
        self._begun_at[lane] = time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        if self._stopping.is_set() or offsets.generation != generation:
            raise BatchGivenUp

    async def give_up_partitions(self, offsets: Offsets) -> None:
        """Let the batches under way end, if they do soon, and commit what is done."""
        self.has_assignment = False
        self._gate.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(REVOKE_SECONDS):
                await self._idle.wait()
        await offsets.commit()
        offsets.begin_generation()
        for settler in self._settlers:
            settler.memory.forget_all()

    def take_partitions(self) -> None:
        """Begin to read what this process has been given, unless it is about to end."""
        self.has_assignment = True
        if not self._stopping.is_set():
            self._gate.set()


class _Listener(ConsumerRebalanceListener):
    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.offsets: Offsets | None = None

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        if self.offsets is not None:
            await self._intake.give_up_partitions(self.offsets)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._intake.take_partitions()
        log.info("partitions_assigned", partitions=len(assigned))
