"""Which offsets are done, and telling Kafka so, at most every 200 ms and never in anyone's way."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from mirsal_runtime.failpoints import pass_by

from orchestrator.intake.records import Record

COMMIT_SECONDS = 0.2
TIMEOUT_SECONDS = 3.0

log = structlog.get_logger(__name__)


class Offsets:
    """The offsets below which all is done, for one consumer and one assignment at a time."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._done: dict[TopicPartition, int] = {}
        self._news = asyncio.Event()
        self.generation = 0
        """Grows with each assignment: what was read under an earlier one is read again."""

    def mark(self, batch: Mapping[TopicPartition, Sequence[Record]], generation: int) -> None:
        """All that these records asked for is done; nothing if they are of an old assignment."""
        if generation == self.generation:
            for place, records in batch.items():
                self._done[place] = records[-1].offset + 1
            self._news.set()

    def begin_generation(self) -> None:
        """The assignment has changed: positions start from what Kafka knows."""
        self.generation += 1
        self._done.clear()

    async def keep_committing(self) -> None:
        """Commit what is new, until cancelled."""
        while True:
            await self._news.wait()
            await self.commit()
            await asyncio.sleep(COMMIT_SECONDS)

    async def commit(self) -> None:
        """Tell Kafka what is new; a failure is made good by a later commit, or by reading again."""
        self._news.clear()
        generation, offsets = self.generation, self._done
        assigned = self._consumer.assignment()
        offsets = {place: offset for place, offset in offsets.items() if place in assigned}
        self._done = {}
        if not offsets:
            return
        pass_by("before_commit")
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._consumer.commit(offsets)
        except (KafkaError, TimeoutError) as error:
            log.warning("offsets_not_committed", error=error)
            if generation == self.generation:
                self._done = {**offsets, **self._done}
                self._news.set()
            return
        pass_by("after_commit")
