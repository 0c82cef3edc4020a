"""The consumer loop on real Kafka: what it commits, how much it takes, and how it recovers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from mirsal_contracts.topics import NODE_COMMANDS_NOOP_V1
from mirsal_runtime import consumption as consumption_module
from mirsal_runtime.broker import Outgoing, Publisher
from mirsal_runtime.consumption import Consumption, Deaf, Patience
from mirsal_runtime.settings import RuntimeSettings
from mirsal_runtime.tasks import cancel
from mirsal_runtime.topics import apply_topics
from mirsal_runtime.watermarks import Watermark
from mirsal_testing.servers import Server

TOPIC = NODE_COMMANDS_NOOP_V1.name
Record = ConsumerRecord[bytes, bytes]


class Taker:
    """Takes records, and closes them when told to, or at once."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.taken: list[tuple[Record, Watermark]] = []
        self.let_go_of: list[Watermark] = []
        self.at_once = at_once
        self.refusal: str | None = None

    def accept(self, records: Sequence[Record], watermark: Watermark) -> str | None:
        for record in records:
            watermark.open(record.offset)
            self.taken.append((record, watermark))
            if self.at_once:
                watermark.close(record.offset)
        return self.refusal

    async def let_go(self, watermarks: Collection[Watermark]) -> None:
        await asyncio.sleep(0)
        self.let_go_of += watermarks

    def close(self, places: slice = slice(None)) -> None:
        for record, watermark in self.taken[places]:
            watermark.close(record.offset)

    @property
    def values(self) -> list[int]:
        return [int(record.value or b"-1") for record, _ in self.taken]


class Stage:
    """A topic of the test's own, and members of one group on it."""

    def __init__(self, settings: RuntimeSettings) -> None:
        self.settings = settings
        self._publisher = Publisher(settings)

    async def send(self, numbers: range, *, key: str | None = None) -> None:
        await self._publisher.send(
            [Outgoing(TOPIC, key or f"key-{n}", str(n).encode(), []) for n in numbers]
        )

    def member(self, taker: Taker, *, name: str = "member-1", window: int = 1000) -> Consumption:
        settings = self.settings.model_copy(update={"instance": name, "leave_group": True})
        return Consumption(settings, TOPIC, group="group", window=window, taker=taker)

    async def read_committed(self) -> int:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka_bootstrap_servers,
            group_id=self.settings.topic_prefix + "group",
            enable_auto_commit=False,
        )
        await consumer.start()
        try:
            partitions = [TopicPartition(self.settings.topic_prefix + TOPIC, n) for n in range(8)]
            consumer.assign(partitions)
            return sum([await consumer.committed(each) or 0 for each in partitions])
        finally:
            await consumer.stop()

    async def close(self) -> None:
        await self._publisher.stop()


@pytest.fixture
async def stage(kafka_server: Server, kafka_prefix: str) -> AsyncIterator[Stage]:
    settings = RuntimeSettings.model_validate(
        {"kafka_bootstrap_servers": kafka_server.url, "topic_prefix": kafka_prefix}
    )
    await apply_topics(settings, [NODE_COMMANDS_NOOP_V1])
    opened = Stage(settings)
    yield opened
    await opened.close()


@asynccontextmanager
async def running(member: Consumption) -> AsyncIterator[None]:
    task = asyncio.create_task(member.run())
    try:
        yield
    finally:
        await cancel(task)
        await member.close()


async def read_nothing(*_arguments: object, **_options: object) -> dict[object, object]:
    await asyncio.sleep(0.05)
    return {}


async def until(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def test_reads_from_the_beginning_and_commits_what_is_done(stage: Stage) -> None:
    await stage.send(range(300))
    taker = Taker()
    member = stage.member(taker)
    assert "joined" in str(member.reason)
    async with running(member):
        await until(lambda: len(taker.taken) == 300)
        assert member.reason is None
        assert member.dead() is None
    assert sorted(taker.values) == list(range(300))
    assert await stage.read_committed() == 300
    again = Taker()
    async with running(stage.member(again)):
        await stage.send(range(300, 310))
        await until(lambda: len(again.taken) >= 10)
    assert sorted(again.values) == list(range(300, 310))


async def test_commits_nothing_past_a_record_that_is_open(stage: Stage) -> None:
    await stage.send(range(10), key="one partition")
    taker = Taker(at_once=False)
    async with running(stage.member(taker)):
        await until(lambda: len(taker.taken) == 10)
        taker.close(slice(0, 3))
        taker.close(slice(4, 10))
        await asyncio.sleep(0.5)
        assert await stage.read_committed() == 3
        taker.close(slice(3, 4))
    assert await stage.read_committed() == 10


async def test_takes_no_more_than_its_window(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumption_module, "IDLE_SECONDS", 0.1)
    await stage.send(range(100))
    taker = Taker(at_once=False)
    async with running(stage.member(taker, window=30)):
        await until(lambda: len(taker.taken) == 30)
        await asyncio.sleep(0.5)
        assert len(taker.taken) == 30
        taker.at_once = True
        taker.close()
        await until(lambda: len(taker.taken) >= 100)
        await asyncio.sleep(0.2)
    assert sorted(taker.values) == list(range(100))


async def test_reads_no_more_once_told_so(stage: Stage) -> None:
    taker = Taker()
    member = stage.member(taker)
    async with running(member):
        await stage.send(range(5))
        await until(lambda: len(taker.taken) == 5)
        taker.refusal = "enough"
        await stage.send(range(5, 10), key="one")
        await until(lambda: member.reason == "enough")
        count = len(taker.taken)
        await stage.send(range(10, 20))
        await asyncio.sleep(0.5)
        assert len(taker.taken) == count


async def test_partitions_that_go_are_let_go_and_committed_first(stage: Stage) -> None:
    await stage.send(range(200))
    first, second = Taker(), Taker()
    async with running(stage.member(first)):
        await until(lambda: len(first.taken) == 200)
        other = stage.member(second, name="member-2")
        async with running(other):
            await until(lambda: other.reason is None)
            assert len(first.let_go_of) == 8
            await stage.send(range(200, 400))
            await until(lambda: len(first.taken) + len(second.taken) >= 400)
        await stage.send(range(400, 500))
        await until(lambda: len(first.taken) + len(second.taken) >= 500)
    assert sorted(first.values + second.values) == list(range(500))
    assert 0 < len(second.taken) < 200


async def test_client_that_reads_nothing_is_replaced(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumption_module, "WATCH_SECONDS", 0.1)
    monkeypatch.setattr(consumption_module, "DEAF_SECONDS", 0.5)
    taker = Taker()
    member = stage.member(taker)
    async with running(member):
        await until(lambda: member.reason is None)
        deaf = member._consumer
        assert deaf is not None
        monkeypatch.setattr(deaf, "getmany", read_nothing)
        await asyncio.sleep(2 * consumption_module.POLL_MILLISECONDS / 1000)
        await stage.send(range(10))
        await until(lambda: len(taker.taken) == 10)
        assert member._consumer is not deaf
    assert sorted(taker.values) == list(range(10))


async def test_process_whose_clients_all_read_nothing_is_dead(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumption_module, "WATCH_SECONDS", 0.05)
    monkeypatch.setattr(consumption_module, "DEAF_SECONDS", 0.2)

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", read_nothing)
    member = stage.member(Taker())
    await stage.send(range(10))
    async with running(member):
        await until(lambda: member.dead() is not None)
    assert "read nothing" in str(member.dead())


async def test_client_that_cannot_commit_is_replaced(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumption_module, "FAILING_SECONDS", 0.5)
    taker = Taker()
    member = stage.member(taker)
    async with running(member):
        await until(lambda: member.reason is None)
        broken = member._consumer
        assert broken is not None

        async def refuse(_offsets: object) -> None:
            await asyncio.sleep(0)
            raise KafkaError("refused")

        monkeypatch.setattr(broken, "commit", refuse)
        await stage.send(range(10))
        await until(lambda: member._consumer is not broken and len(taker.taken) >= 20)
    assert await stage.read_committed() == 10


async def test_client_that_cannot_say_where_it_is_is_replaced(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumption_module, "WATCH_SECONDS", 0.1)
    monkeypatch.setattr(consumption_module, "FAILING_SECONDS", 0.5)
    member = stage.member(Taker())
    async with running(member):
        await until(lambda: member.reason is None)
        broken = member._consumer
        assert broken is not None

        async def refuse(_partitions: object) -> None:
            await asyncio.sleep(0)
            raise KafkaError("refused")

        monkeypatch.setattr(broken, "end_offsets", refuse)
        await until(lambda: member._consumer is not broken and member.reason is None)


async def test_broker_that_is_not_there_is_a_reason_and_close_does_not_hang() -> None:
    nobody = RuntimeSettings.model_validate({"kafka_bootstrap_servers": "127.0.0.1:1"})
    member = Consumption(nobody, TOPIC, group="group", window=10, taker=Taker())
    async with running(member):
        await until(lambda: "KafkaConnectionError" in (member.reason or ""))


def test_patience_ends_after_failing_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumption_module, "FAILING_SECONDS", 0.0)
    patience = Patience()
    patience.failed(KafkaError("once"))
    patience.worked()
    patience.failed(KafkaError("again"))
    with pytest.raises(Deaf):
        patience.failed(KafkaError("still"))
