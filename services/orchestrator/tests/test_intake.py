"""The consumer loop on real Kafka: how it ends, and how it notices a client gone deaf."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from datetime import datetime
from itertools import count

import pytest
from aiokafka import TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError
from mirsal_contracts.topics import EXECUTIONS_REQUESTED_V1, NODE_STATUSES_V1, RUN_TIMERS_V1
from mirsal_runtime.broker import Outgoing, Publisher, close_consumer, make_consumer
from mirsal_runtime.settings import RuntimeSettings
from mirsal_runtime.tasks import cancel
from mirsal_runtime.topics import apply_topics
from mirsal_testing.servers.server import Server
from orchestrator.batch_rehearsal import no_keys
from orchestrator.intake import Intake, loop, watch
from orchestrator.intake.memory import Memory
from orchestrator.intake.patience import Wait
from orchestrator.intake.privacy import Privacy
from orchestrator.intake.records import Record
from orchestrator.intake.settling import Settler
from orchestrator.store.clock import DatabaseClock
from orchestrator.store.runs import Pool, RunStore

TOPICS = (EXECUTIONS_REQUESTED_V1, NODE_STATUSES_V1, RUN_TIMERS_V1)


class Stubborn(Settler):
    """Swallows the first cancellation, as libraries do now and then."""

    def __init__(self, pool: Pool) -> None:
        store = RunStore(pool, DatabaseClock(), instance="orchestrator-1")
        super().__init__(store, Silent(), Privacy(no_keys()))
        self.memory = Memory(self.store)
        self.began = asyncio.Event()
        self.cancelled = False

    async def settle(self, records: Iterable[Record], wait: Wait) -> datetime | None:
        self.began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled = True
        return None


class Desk(Settler):
    """Notes what it is given, and is not done with it before it may be."""

    def __init__(self, pool: Pool, *, is_open: bool) -> None:
        store = RunStore(pool, DatabaseClock(), instance="orchestrator-1")
        super().__init__(store, Silent(), Privacy(no_keys()))
        self.may_end = asyncio.Event()
        if is_open:
            self.may_end.set()
        self.begun: list[Record] = []
        self.ended: list[Record] = []
        self.news = asyncio.Event()

    async def settle(self, records: Iterable[Record], wait: Wait) -> datetime | None:
        batch = list(records)
        self.begun += batch
        self.news.set()
        await self.may_end.wait()
        self.ended += batch
        return None

    async def wait_begun(self, count: int) -> None:
        """Until so many records were given to it."""
        async with asyncio.timeout(20):
            while len(self.begun) < count:
                self.news.clear()
                await self.news.wait()


class Patient(Settler):
    """Waits for a server, again and again, for longer than a hang takes."""

    def __init__(self, pool: Pool) -> None:
        store = RunStore(pool, DatabaseClock(), instance="patient")
        super().__init__(store, Silent(), Privacy(no_keys()))
        self.waited = asyncio.Event()

    async def settle(self, records: Iterable[Record], wait: Wait) -> datetime | None:
        for _ in range(20):
            await wait(0.05)
        self.waited.set()
        while True:
            await wait(0.05)


class Silent:
    """Sends nothing."""

    async def send(self, messages: object) -> None:
        await asyncio.sleep(0)


@pytest.fixture
async def settings(kafka_server: Server, kafka_prefix: str) -> RuntimeSettings:
    settings = RuntimeSettings(
        kafka_bootstrap_servers=kafka_server.url, topic_prefix=kafka_prefix, leave_group=True
    )
    await apply_topics(settings, TOPICS)
    return settings


class Reader:
    """A client that is asked for records, as the loop does, and whose partitions can go deaf."""

    def __init__(self, settings: RuntimeSettings) -> None:
        self.settings = settings
        self.consumer = make_consumer(
            settings, [topic.name for topic in TOPICS], group="group", listener=Deafening(self)
        )
        self.drained = 0
        self.read = 0
        self.deaf: set[TopicPartition] = set()
        self.tasks: list[asyncio.Task[None]] = []

    def begin(self, work: Coroutine[None, None, None]) -> None:
        """Have something done until the test ends."""
        self.tasks.append(asyncio.create_task(work))

    async def poll(self) -> None:
        while True:
            found = await self.consumer.getmany(timeout_ms=50, max_records=500)
            self.read += sum(map(len, found.values()))
            self.drained += 1

    async def feed(self, topic: str) -> None:
        """Records on all partitions of a topic, on and on."""
        publisher = Publisher(self.settings)
        try:
            for number in count():
                await publisher.send([Outgoing(topic, str(number), b"{}", [])])
                await asyncio.sleep(0.005)
        finally:
            await publisher.stop()


class Deafening(ConsumerRebalanceListener):
    """Has the client fetch nothing of some partitions from the first moment."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Nothing to do."""

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._reader.consumer.pause(*(assigned & self._reader.deaf))


@pytest.fixture
async def reader(
    settings: RuntimeSettings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Reader]:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.3)
    reader = Reader(settings)
    yield reader
    await cancel(*reader.tasks)
    await close_consumer(reader.consumer, leave=True)


async def send(settings: RuntimeSettings, *messages: Outgoing) -> None:
    publisher = Publisher(settings)
    await publisher.send(messages)
    await publisher.stop()


async def test_it_ends_even_if_a_cancellation_is_swallowed(
    settings: RuntimeSettings, pool: Pool
) -> None:
    settler = Stubborn(pool)
    intake = Intake(settings, [settler], expect=lambda _: None)
    running = asyncio.create_task(intake.run(asyncio.Event()))
    await send(settings, Outgoing(NODE_STATUSES_V1.name, "key", b"{}", []))
    async with asyncio.timeout(20):
        await settler.began.wait()
    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=15)
    assert done, "it goes on though it was cancelled"
    assert settler.cancelled, "the fault did not happen"


async def test_a_lane_that_waits_holds_up_no_other_and_is_waited_for_at_the_end(
    settings: RuntimeSettings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    desks = [Desk(pool, is_open=False), Desk(pool, is_open=True)]
    stop = asyncio.Event()
    intake = Intake(settings, desks, expect=lambda _: None)
    running = asyncio.create_task(intake.run(stop))
    for topic in TOPICS:
        await send(settings, *(Outgoing(topic.name, str(key), b"{}", []) for key in range(40)))
    await desks[0].wait_begun(1)
    held = len(desks[0].begun)
    await desks[1].wait_begun(40)
    # While the first lane stands, the second takes new records again and again.
    for number in range(100, 105):
        count = len(desks[1].begun)
        keys = [str(number * 10 + part) for part in range(10)]
        await send(settings, *(Outgoing(TOPICS[0].name, key, b"{}", []) for key in keys))
        await desks[1].wait_begun(count + 1)
    assert len(desks[0].begun) == held
    assert desks[0].ended == []
    assert intake.find_hang() is None
    monkeypatch.setattr(loop, "HANG_SECONDS", 0.01)
    assert "a batch has been under way" in str(intake.find_hang()), "it neither ends nor waits"
    stop.set()
    await asyncio.sleep(0.5)
    assert not running.done(), "it ended before its batch"
    desks[0].may_end.set()
    async with asyncio.timeout(20):
        await running
    assert len(desks[0].ended) == held
    assert intake.find_hang() is None
    numbers = [{record.partition for record in desk.begun} for desk in desks]
    assert not numbers[0] & numbers[1], "both lanes had records of one partition number"


async def test_a_batch_that_waits_for_a_server_is_no_hang(
    settings: RuntimeSettings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "HANG_SECONDS", 0.5)
    patient, stop = Patient(pool), asyncio.Event()
    intake = Intake(settings, [patient], expect=lambda _: None)
    running = asyncio.create_task(intake.run(stop))
    await send(settings, Outgoing(NODE_STATUSES_V1.name, "key", b"{}", []))
    async with asyncio.timeout(20):
        await patient.waited.wait()
    assert intake.find_hang() is None
    stop.set()
    async with asyncio.timeout(20):
        await running


async def test_a_deaf_partition_is_noticed_though_others_are_read(reader: Reader) -> None:
    prefix = reader.settings.topic_prefix
    reader.deaf = {TopicPartition(prefix + NODE_STATUSES_V1.name, number) for number in range(8)}
    await reader.consumer.start()
    for topic in (NODE_STATUSES_V1, RUN_TIMERS_V1):
        reader.begin(reader.feed(topic.name))
    reader.begin(reader.poll())
    async with asyncio.timeout(20):
        with pytest.raises(watch.ConsumerDeaf, match="unread"):
            await watch.watch_consumer(reader.consumer, prefix, lambda: reader.drained)
    assert reader.read > 0, "nothing was read past the deaf partitions"


async def test_who_reads_all_is_not_deaf(reader: Reader) -> None:
    await reader.consumer.start()
    reader.begin(reader.feed(NODE_STATUSES_V1.name))
    reader.begin(reader.poll())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(4):
            await watch.watch_consumer(
                reader.consumer, reader.settings.topic_prefix, lambda: reader.drained
            )
    assert reader.read > 0


async def test_nothing_is_held_against_a_client_that_nobody_asks(reader: Reader) -> None:
    await reader.consumer.start()
    reader.begin(reader.feed(NODE_STATUSES_V1.name))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(4):
            await watch.watch_consumer(
                reader.consumer, reader.settings.topic_prefix, lambda: reader.drained
            )


async def test_a_client_that_cannot_say_where_it_is_is_replaced(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_partitions: object) -> None:
        await asyncio.sleep(0)
        raise KafkaError("refused")

    await reader.consumer.start()
    reader.begin(reader.poll())
    monkeypatch.setattr(reader.consumer, "end_offsets", refuse)
    async with asyncio.timeout(20):
        with pytest.raises(watch.ConsumerDeaf, match="where"):
            await watch.watch_consumer(
                reader.consumer, reader.settings.topic_prefix, lambda: reader.drained
            )
