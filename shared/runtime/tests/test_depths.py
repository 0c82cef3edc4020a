"""How full the topics are, on real Kafka."""

import time

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from mirsal_contracts.topics import NODE_STATUSES_V1, RUN_TIMERS_V1
from mirsal_runtime.broker import Outgoing, Publisher
from mirsal_runtime.depths import Depth, DepthsUnknown, read_depths
from mirsal_runtime.settings import RuntimeSettings
from mirsal_runtime.topics import apply_topics
from mirsal_testing.servers import Server

STATUSES, TIMERS = NODE_STATUSES_V1.name, RUN_TIMERS_V1.name


async def test_depth_and_lag_are_of_what_is_there_and_not_done(
    kafka_server: Server, kafka_prefix: str
) -> None:
    settings = RuntimeSettings.model_validate(
        {"kafka_bootstrap_servers": kafka_server.url, "topic_prefix": kafka_prefix}
    )
    await apply_topics(settings, [NODE_STATUSES_V1, RUN_TIMERS_V1])
    publisher = Publisher(settings)
    await publisher.send([Outgoing(STATUSES, "one partition", b"{}", [])] * 5)
    await publisher.send([Outgoing(TIMERS, str(number), b"{}", []) for number in range(3)])
    await publisher.stop()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka_server.url,
        group_id=kafka_prefix + "orchestrator",
        enable_auto_commit=False,
    )
    places = [TopicPartition(kafka_prefix + STATUSES, number) for number in range(8)]
    await consumer.start()
    consumer.assign(places)
    ends = await consumer.end_offsets(places)
    await consumer.commit({next(place for place in places if ends[place]): 2})
    await consumer.stop()

    groups = {STATUSES: "orchestrator", TIMERS: "", "nothing.here.v1": "orchestrator"}
    statuses, *others = await read_depths(settings, groups)
    assert 0 <= statuses.oldest_seconds < 60
    assert statuses._replace(oldest_seconds=0) == Depth(
        STATUSES, "orchestrator", 8, depth=5, lag=3, written=5, done=2
    )
    assert others == [
        Depth(TIMERS, "", 8, depth=3, lag=0, written=3, done=3),
        Depth("nothing.here.v1", "orchestrator", 0, depth=0, lag=0),
    ]


@pytest.mark.parametrize("age", [0.2, 3.0, 100.0, 90_000.0])
async def test_the_oldest_that_waits_is_found_without_reading(
    kafka_server: Server, kafka_prefix: str, age: float
) -> None:
    """Of two partitions; what is done and what is younger does not count."""
    settings = RuntimeSettings.model_validate(
        {"kafka_bootstrap_servers": kafka_server.url, "topic_prefix": kafka_prefix}
    )
    await apply_topics(settings, [NODE_STATUSES_V1])
    places = [TopicPartition(kafka_prefix + STATUSES, number) for number in range(2)]
    now = time.time()
    producer = AIOKafkaProducer(bootstrap_servers=kafka_server.url)
    await producer.start()
    for partition, seconds in ((0, 2 * age), (0, age), (0, age / 2), (1, age / 3)):
        await producer.send_and_wait(
            places[0].topic, b"{}", partition=partition, timestamp_ms=round((now - seconds) * 1000)
        )
    await producer.stop()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka_server.url,
        group_id=kafka_prefix + "orchestrator",
        enable_auto_commit=False,
    )
    await consumer.start()
    consumer.assign(places)
    await consumer.commit({places[0]: 1})
    await consumer.stop()
    (depth,) = await read_depths(settings, {STATUSES: "orchestrator"})
    waited = age + time.time() - now
    assert depth.lag == 3
    assert waited - max(5.0, age * 0.1) <= depth.oldest_seconds <= waited


async def test_a_broker_that_is_not_there_is_said_to_be_unknown() -> None:
    nobody = RuntimeSettings.model_validate({"kafka_bootstrap_servers": "127.0.0.1:1"})
    with pytest.raises(DepthsUnknown):
        await read_depths(nobody, {STATUSES: ""})
