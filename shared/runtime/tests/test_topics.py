"""Topics: made where missing, raised where too low, never lowered; and readiness without them."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError
from mirsal_contracts.topics import NODE_COMMANDS_NOOP_V1, NODE_STATUSES_V1
from mirsal_runtime.settings import RuntimeSettings
from mirsal_runtime.topics import TopicsPresent, apply_topics, open_board
from mirsal_testing.servers import Server

TOPICS = [NODE_COMMANDS_NOOP_V1, NODE_STATUSES_V1]


@pytest.fixture
def settings(kafka_server: Server, kafka_prefix: str) -> RuntimeSettings:
    return RuntimeSettings.model_validate(
        {"kafka_bootstrap_servers": kafka_server.url, "topic_prefix": kafka_prefix}
    )


async def read_settings(settings: RuntimeSettings, name: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        (answer,) = await admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, settings.topic_prefix + name)]
        )
        entries = answer.to_object()["resources"][0]["config_entries"]
        return {each["config_names"]: each["config_value"] for each in entries}
    finally:
        await admin.close()


async def shows(settings: RuntimeSettings, name: str, wanted: dict[str, str]) -> bool:
    return wanted.items() <= (await read_settings(settings, name)).items()


async def make_topic(settings: RuntimeSettings, name: str, **changes: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        topic = NewTopic(settings.topic_prefix + name, 2, 1, topic_configs=changes)
        await admin.create_topics([topic])
    finally:
        await admin.close()
    async with asyncio.timeout(10):
        while not await shows(settings, name, changes):
            await asyncio.sleep(0.02)


async def test_missing_topics_are_made_as_the_contracts_say(settings: RuntimeSettings) -> None:
    assert [str(each) for each in await apply_topics(settings, TOPICS)] == [
        "node.commands.noop.v1: missing",
        "node.statuses.v1: missing",
    ]
    found = await read_settings(settings, NODE_STATUSES_V1.name)
    assert found["max.message.bytes"] == "2097152"
    assert found["retention.ms"] == str(336 * 3_600_000)
    assert found["min.insync.replicas"] == "1"
    assert await apply_topics(settings, TOPICS) == []
    async with open_board(settings) as board:
        assert set((await board.count_partitions(TOPICS)).values()) == {8}


async def test_what_is_too_low_is_raised_and_the_rest_is_kept(settings: RuntimeSettings) -> None:
    name = NODE_STATUSES_V1.name
    await make_topic(
        settings,
        name,
        **{"retention.ms": "1000", "max.message.bytes": "9000000", "segment.ms": "60000"},
    )
    (difference,) = await apply_topics(settings, [NODE_STATUSES_V1])
    assert "partitions=8 (has 2)" in str(difference)
    found = await read_settings(settings, name)
    assert found["retention.ms"] == str(336 * 3_600_000)
    assert found["max.message.bytes"] == "9000000"
    assert found["segment.ms"] == "60000"
    assert await apply_topics(settings, [NODE_STATUSES_V1]) == []


async def test_retention_for_ever_is_not_lowered(settings: RuntimeSettings) -> None:
    await make_topic(settings, NODE_STATUSES_V1.name, **{"retention.ms": "-1"})
    await apply_topics(settings, [NODE_STATUSES_V1])
    found = await read_settings(settings, NODE_STATUSES_V1.name)
    assert found["retention.ms"] == "-1"


async def test_readiness_names_what_is_missing(settings: RuntimeSettings) -> None:
    present = TopicsPresent(settings, TOPICS)
    await make_topic(settings, NODE_STATUSES_V1.name)
    reason = await present()
    assert reason is not None
    assert NODE_COMMANDS_NOOP_V1.name in reason
    assert NODE_STATUSES_V1.name in reason
    await apply_topics(settings, TOPICS)
    assert await present() is None


async def test_broker_that_is_not_there_is_an_error() -> None:
    nobody = RuntimeSettings.model_validate({"kafka_bootstrap_servers": "127.0.0.1:1"})
    with pytest.raises(KafkaConnectionError):
        await TopicsPresent(nobody, TOPICS)()
