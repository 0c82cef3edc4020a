"""Keeps what lies in the topics of dead letters in PostgreSQL, where it is found and replayed.

Every process reads all of these topics, which are empty on a good day: a letter has an id that
follows from what it is, so that whoever comes second changes nothing. How far a topic was read is
written with its letters.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from mirsal_contracts.message import Envelope
from mirsal_contracts.topics import DEAD_LETTERS
from mirsal_runtime import metrics
from mirsal_runtime.broker import close_consumer, make_reader
from mirsal_runtime.complaints import Complaint
from mirsal_runtime.dead_letters import Found, find_letter
from mirsal_runtime.settings import RuntimeSettings

from orchestrator.store.faults import DatabaseAway, DataRefused
from orchestrator.store.letters import LetterStore, NewLetter, Place

# A letter may have 2 MiB.
BATCH_RECORDS = 8
POLL_MILLISECONDS = 2_000
POLL_SECONDS = 30.0
START_SECONDS = 30.0
PAUSE_SECONDS = 1.0
KEPT = timedelta(days=30)
"""As long as Kafka keeps them."""
COUNT_SECONDS = 15.0
TIDY_SECONDS = 600.0
TIDY_LETTERS = 1_000
_MAX_TEXT = 1_000
_YEARS = range(2000, 2200)
_CONNECTORS: Mapping[str, str] = {topic.name: name for name, topic in DEAD_LETTERS.items()}

log = structlog.get_logger(__name__)


class LetterIndex:
    """Reads on for as long as it runs; nothing of it stands in the way of a run."""

    def __init__(
        self, settings: RuntimeSettings, store: LetterStore, *, unclaimed_by: str = ""
    ) -> None:
        self._settings = settings
        self._store = store
        self._unclaimed_by = unclaimed_by
        self._waits = Complaint("dead_letters_wait")
        self._count_at = self._tidy_at = 0.0

    async def run(self) -> None:
        """Keep letters until cancelled, with a new client where one has failed."""
        while True:
            try:
                await self._read()
            except (KafkaError, TimeoutError, OSError, DatabaseAway) as error:
                self._waits.say(error=error)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _read(self) -> None:
        prefix = self._settings.topic_prefix
        consumer = make_reader(self._settings)
        try:
            async with asyncio.timeout(START_SECONDS):
                await consumer.start()
                await self._take_places(consumer, prefix)
            while True:
                async with asyncio.timeout(POLL_SECONDS):
                    batches = await consumer.getmany(
                        timeout_ms=POLL_MILLISECONDS, max_records=BATCH_RECORDS
                    )
                if batches:
                    await self._keep(batches, prefix)
                await self._tidy()
        finally:
            await close_consumer(consumer, leave=True)

    async def _take_places(self, consumer: AIOKafkaConsumer, prefix: str) -> None:
        """Go on where the tables say; what was never read is read from its beginning."""
        known = await self._store.read_places()
        places = [
            TopicPartition(prefix + topic.name, number)
            for topic in DEAD_LETTERS.values()
            for number in range(topic.partitions)
        ]
        consumer.assign(places)
        for place in places:
            offset = known.get((place.topic.removeprefix(prefix), place.partition))
            if offset is not None:
                consumer.seek(place, offset)

    async def _keep(
        self,
        batches: Mapping[TopicPartition, Sequence[ConsumerRecord[bytes, bytes]]],
        prefix: str,
    ) -> None:
        letters = [
            letter_of(record, prefix, self._unclaimed_by)
            for records in batches.values()
            for record in records
        ]
        places = [
            Place(place.topic.removeprefix(prefix), place.partition, records[-1].offset + 1)
            for place, records in batches.items()
        ]
        try:
            count = await self._store.keep(letters, places)
        except DataRefused:
            count = 0
            for letter in letters:
                count += await self._keep_one(letter)
            await self._store.keep([], places)
        log.info("dead_letters_kept", count=count)

    async def _keep_one(self, letter: NewLetter) -> int:
        try:
            return await self._store.keep([letter], [])
        except DataRefused as error:
            log.error("dead_letter_left_out", lies_at=letter.lies_at, error=error)
            return 0

    async def _tidy(self) -> None:
        """Now and then: count the letters, and forget those as old as those that Kafka forgets."""
        now = asyncio.get_running_loop().time()
        if now >= self._count_at:
            self._count_at = now + COUNT_SECONDS
            counts = await self._store.count()
            for connector in DEAD_LETTERS:
                metrics.DEAD_LETTERS_WAITING.labels(connector).set(counts.get(connector, 0))
        if now < self._tidy_at:
            return
        self._tidy_at = now + TIDY_SECONDS
        while await self._store.forget_old(KEPT, TIDY_LETTERS) == TIDY_LETTERS:
            pass


def letter_of(
    record: ConsumerRecord[bytes, bytes], prefix: str, unclaimed_by: str = ""
) -> NewLetter:
    """The row that a record of a dead-letter topic becomes."""
    topic = record.topic.removeprefix(prefix)
    found = find_letter(record.key, record.value, record.headers)
    about = Envelope.from_headers(found.letter.headers)
    return NewLetter(
        id=found.id,
        workspace=_clean(about.workspace) or unclaimed_by,
        connector=_CONNECTORS[topic],
        position=Place(*found.letter[:3]),
        lies_at=Place(topic, record.partition, record.offset),
        reason=_clean(found.reason),
        text=_clean(found.text),
        died_at=_time_of(found, record.timestamp),
        type=_clean(about.type),
        run_id=_uuid_of(about.subject),
        execution_id=_clean(about.execution_id),
        workflow_id=_clean(about.workflow_id),
        node_id=_clean(about.node_id),
        lead_id=_lead_of(found.letter.value),
        attempt=_attempt_of(about.command_id),
        key=found.letter.key,
        value=found.letter.value,
        headers=[(_clean(name), value) for name, value in found.letter.headers],
        whole_bytes=found.whole_bytes,
    )


def _clean(text: str) -> str:
    return text.replace("\0", "\ufffd")[:_MAX_TEXT]


def _uuid_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _attempt_of(command_id: str) -> int:
    digits = command_id.rpartition(".")[2]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0


def _time_of(found: Found, timestamp: int) -> datetime:
    if found.died_at is not None and found.died_at.year in _YEARS:
        return found.died_at
    return datetime.fromtimestamp(max(0, timestamp) / 1000, UTC)


def _lead_of(value: bytes | None) -> str:
    """Whose personal data the record holds, if it says so: who erases a lead must find it."""
    try:
        members = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(members, dict):
        return ""
    lead = members.get("lead")
    lead_id = lead.get("id") if isinstance(lead, dict) else members.get("leadId")
    return _clean(lead_id) if isinstance(lead_id, str) else ""
