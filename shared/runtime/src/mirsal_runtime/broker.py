"""The one place that makes Kafka clients, with the settings that lose nothing."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from itertools import chain

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError, ProducerClosed
from aiokafka.producer.message_accumulator import BatchBuilder, MessageAccumulator

from mirsal_runtime import metrics
from mirsal_runtime.kafka_connection import kafka_connection
from mirsal_runtime.message_spans import tell_sending
from mirsal_runtime.outgoing import Outgoing as Outgoing
from mirsal_runtime.partitions import partition_of
from mirsal_runtime.settings import RuntimeSettings
from mirsal_runtime.tasks import cancel

SEND_SECONDS = 4.0
CLOSE_SECONDS = 2.0
MAX_MESSAGE_BYTES = 2 * 1024 * 1024
# What Kafka adds to key, value and headers: a batch's head, and lengths.
_RECORD_BYTES = 256

log = structlog.get_logger(__name__)


class BrokerUnavailable(Exception):
    """Kafka did not acknowledge in time: whether the message counts is open."""


class MessageTooLarge(Exception):
    """A message is over the limit of topics and producers, now and for ever; none was sent."""


class Publisher:
    """An idempotent producer with `acks=all` that is made anew after a failure.

    aiokafka's producer can hang for ever once its broker is gone (aiokafka #1101), so every
    send has a deadline and a producer that missed it is thrown away.
    """

    def __init__(self, settings: RuntimeSettings, *, send_seconds: float = SEND_SECONDS) -> None:
        self._settings = settings
        self._send_seconds = send_seconds
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """Send all and wait until Kafka has acknowledged all.

        Raises `BrokerUnavailable` after `send_seconds`; some may have been written then. Raises
        `MessageTooLarge` before anything is sent.
        """
        metrics.BATCH_SIZE.labels("send").observe(len(messages))
        with tell_sending(messages):
            await self._send(messages)

    async def _send(self, messages: Sequence[Outgoing]) -> None:
        producer = self._producer
        waits: list[asyncio.Future[object]] = []
        try:
            async with asyncio.timeout(self._send_seconds):
                producer = await self._started()
                parcels = await self._pack(producer, messages)
                for (topic, partition), batches in parcels.items():
                    for batch in batches:
                        waits.append(  # noqa: PERF401 - those begun must be known if one fails
                            await producer.send_batch(batch, topic, partition=partition)
                        )
                for wait in waits:
                    await wait
        except (KafkaError, TimeoutError) as error:
            _forget(waits)
            self._discard(producer)
            raise BrokerUnavailable(
                f"Kafka did not acknowledge within {self._send_seconds} s: {error!r}"
            ) from error

    async def stop(self) -> None:
        """Close the producer; never takes longer than a few seconds."""
        self._discard(self._producer)
        for seconds in (CLOSE_SECONDS, CLOSE_SECONDS / 2):
            if self._closing:
                await asyncio.wait(self._closing, timeout=seconds)
            self._hurry.set()

    async def _pack(
        self, producer: AIOKafkaProducer, messages: Sequence[Outgoing]
    ) -> Mapping[tuple[str, int], Sequence[BatchBuilder]]:
        """The messages as Kafka's own batches, by topic and partition.

        One by one through `producer.send` each message costs a future and several coroutines,
        twice what it costs here.
        """
        counts: dict[str, int] = {}
        parcels: dict[tuple[str, int], list[BatchBuilder]] = {}
        for message in messages:
            topic = self._settings.topic_prefix + message.topic
            if topic not in counts:
                counts[topic] = len(await producer.partitions_for(topic))
            key = message.key.encode() if isinstance(message.key, str) else message.key
            place = topic, partition_of(key or b"", counts[topic])
            batches = parcels.setdefault(place, [])
            if not batches or not _append(batches[-1], key, message):
                batches.append(producer.create_batch())
                _append(batches[-1], key, message)
                # Whatever its size, a batch takes its first message.
                if batches[-1].size() > MAX_MESSAGE_BYTES:
                    raise MessageTooLarge(f"{batches[-1].size()} bytes for {topic}")
        return parcels

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is not None:
            return self._producer
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **kafka_connection(self._settings),
                    client_id=self._settings.instance,
                    acks="all",
                    enable_idempotence=True,
                    request_timeout_ms=int(self._send_seconds * 1000),
                    max_request_size=MAX_MESSAGE_BYTES,
                    max_batch_size=256 * 1024,
                    linger_ms=0,
                )
                try:
                    await producer.start()
                except BaseException:
                    self._close(producer)
                    raise
                self._producer = producer
        return self._producer

    def _discard(self, producer: AIOKafkaProducer | None) -> None:
        # One that is not the current one is being closed already.
        if producer is not None and self._producer is producer:
            self._producer = None
            self._close(producer)

    def _close(self, producer: AIOKafkaProducer) -> None:
        patience = self._send_seconds + CLOSE_SECONDS
        task = asyncio.create_task(_end(producer, self._hurry, patience))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def size_of(message: Outgoing) -> int:
    """What the message takes in Kafka, in bytes, or a little more."""
    key = message.key or b""
    # A character takes at most 4 bytes; texts are short here.
    size = _RECORD_BYTES + len(message.value or b"")
    size += 4 * len(key) if isinstance(key, str) else len(key)
    for name, value in message.headers:
        size += 4 * len(name) + len(value) + 8
    return size


def _append(batch: BatchBuilder, key: bytes | None, message: Outgoing) -> bool:
    """Whether it still fits into the batch; the first message of one always does."""
    added = batch.append(timestamp=None, key=key, value=message.value, headers=message.headers)
    return added is not None


def _forget(waits: Sequence[asyncio.Future[object]]) -> None:
    """Nobody will look at these: asyncio would complain of each that fails."""
    for wait in waits:
        if not wait.cancel() and not wait.cancelled():
            wait.exception()


def _fail_all(accumulator: MessageAccumulator) -> None:
    """Have nothing left to send."""
    unsent = [*chain.from_iterable(accumulator._batches.values()), *accumulator._pending_batches]
    accumulator.fail_all(ProducerClosed())
    _forget([wait for batch in unsent for wait in (batch.future, batch._drain_waiter)])


async def _end(producer: AIOKafkaProducer, hurry: asyncio.Event, patience: float) -> None:
    """Close a producer for sure; one that cannot send has `patience`, unless there is `hurry`.

    `stop` alone waits for what is unsent, which an idempotent producer never gives up: its tasks
    and connections would live until Kafka is back, and then send what others have sent since.
    """
    sender = producer._sender.sender_task
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await producer.stop()
    except (KafkaError, TimeoutError) as error:
        log.warning("producer_not_closed", error=error)
        _fail_all(producer._message_accumulator)
        if sender is not None:
            # Its own call-back fails where there are no transactions.
            sender.remove_done_callback(producer._sender._fail_all)
            # It lets its requests come to their ends, unless it is cancelled again.
            sender.cancel()
            hurrying = asyncio.create_task(hurry.wait())
            await asyncio.wait(
                {sender, hurrying}, timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
            await cancel(hurrying)
    finally:
        if sender is not None:
            await cancel(sender)
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await producer.client.close()


def make_consumer(
    settings: RuntimeSettings,
    topics: Sequence[str],
    *,
    group: str,
    listener: ConsumerRebalanceListener,
) -> AIOKafkaConsumer:
    """A consumer that commits nothing by itself and starts from the earliest record.

    It keeps its place in the group across a restart (`instance`), and is missed after 6 s. Range
    assignment gives the same partition of all topics to one member: a run has one reader.
    The caller starts it.
    """
    consumer = AIOKafkaConsumer(
        **kafka_connection(settings),
        client_id=settings.instance,
        group_id=settings.topic_prefix + group,
        group_instance_id=settings.instance,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=6_000,
        heartbeat_interval_ms=500,
        max_poll_interval_ms=300_000,
        request_timeout_ms=10_000,
        retry_backoff_ms=100,
        fetch_max_wait_ms=500,
        max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
        metadata_max_age_ms=30_000,
        partition_assignment_strategy=(RangePartitionAssignor,),
    )
    consumer.subscribe([settings.topic_prefix + topic for topic in topics], listener=listener)
    return consumer


def make_reader(settings: RuntimeSettings) -> AIOKafkaConsumer:
    """A consumer of no group, for who keeps its places elsewhere.

    Each partition starts from its earliest record. The caller starts it, assigns and seeks.
    """
    return AIOKafkaConsumer(
        **kafka_connection(settings),
        client_id=settings.instance,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        request_timeout_ms=10_000,
        retry_backoff_ms=100,
        fetch_max_wait_ms=2_000,
        max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
        metadata_max_age_ms=30_000,
    )


async def close_consumer(consumer: AIOKafkaConsumer, *, leave: bool) -> None:
    """Stop a consumer; never takes longer than a few seconds.

    With `leave` its partitions go to others at once; without, they wait 6 s for a process of the
    same name.
    """
    if leave and consumer._coordinator is not None:
        # aiokafka leaves only without an instance id; Kafka takes the member's id as well.
        consumer._coordinator._group_instance_id = None
    failure = await _fail_within(CLOSE_SECONDS, consumer.stop())
    if failure is not None:
        log.warning("consumer_not_closed", error=failure)
        # Half closed it would still fetch, under the name that its successor has.
        await _fail_within(CLOSE_SECONDS, consumer._client.close())


async def _fail_within(seconds: float, work: Coroutine[None, None, None]) -> BaseException | None:
    """Why `work` was not done in time, however it bears its cancellation; None if it was.

    A time-out is one cancellation, and aiokafka swallows some while it closes.
    """
    task = asyncio.create_task(work)
    await asyncio.wait({task}, timeout=seconds)
    if not task.done():
        task.cancel()
        return TimeoutError()
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, KafkaError):
        raise error
    return error
