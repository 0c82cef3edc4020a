"""How full the topics are, on real Kafka."""

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
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
    assert await read_depths(settings, groups) == [
        Depth(STATUSES, "orchestrator", 8, depth=5, lag=3),
        Depth(TIMERS, "", 8, depth=3, lag=0),
        Depth("nothing.here.v1", "orchestrator", 0, depth=0, lag=0),
    ]


async def test_a_broker_that_is_not_there_is_said_to_be_unknown() -> None:
    nobody = RuntimeSettings.model_validate({"kafka_bootstrap_servers": "127.0.0.1:1"})
    with pytest.raises(DepthsUnknown):
        await read_depths(nobody, {STATUSES: ""})
