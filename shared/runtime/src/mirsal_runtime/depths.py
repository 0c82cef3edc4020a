"""How full the topics are: what each holds, and what its consumers have not done yet."""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    KafkaError,
    NotCoordinatorForGroupError,
)

from mirsal_runtime.kafka_connection import kafka_connection
from mirsal_runtime.settings import RuntimeSettings
from mirsal_runtime.waiting_ages import find_waiting_ages

READ_SECONDS = 3.0
RETRY_SECONDS = 0.1


class DepthsUnknown(Exception):
    """Kafka did not say in time."""


class Depth(NamedTuple):
    """One topic, by the contract's name. `group` is empty where nobody consumes it.

    `depth` counts the records that the topic holds, `lag` those at or after the group's committed
    offset; the oldest of these was written `oldest_seconds` ago. `written` and `done` only ever
    grow: what they grow by in a time are the rates in and out. A topic that does not exist has no
    partitions.
    """

    topic: str
    group: str
    partitions: int
    depth: int
    lag: int
    oldest_seconds: float = 0.0
    written: int = 0
    done: int = 0


async def read_depths(settings: RuntimeSettings, groups: Mapping[str, str]) -> list[Depth]:
    """The depths of topics, each given with its consumer group, or with "" for none.

    Raises `DepthsUnknown` after `READ_SECONDS`.
    """
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await _read(settings, groups)
    except (KafkaError, TimeoutError, OSError) as error:
        raise DepthsUnknown(f"Kafka did not say how full its topics are: {error!r}") from error


async def _read(settings: RuntimeSettings, groups: Mapping[str, str]) -> list[Depth]:
    kafka, name = kafka_connection(settings), settings.instance
    admin = AIOKafkaAdminClient(**kafka, client_id=name)
    consumer = AIOKafkaConsumer(**kafka, client_id=name, retry_backoff_ms=10)
    try:
        await asyncio.gather(admin.start(), consumer.start())
        places = await _find_partitions(admin, settings.topic_prefix, groups)
        everywhere = [place for each in places.values() for place in each]
        first, last, *commits = await asyncio.gather(
            consumer.beginning_offsets(everywhere),
            consumer.end_offsets(everywhere),
            *(_read_commits(admin, settings, group) for group in _names(groups)),
        )
        committed = dict(zip(_names(groups), commits, strict=True))
        done = {
            topic: {
                place: max(committed[group].get(place, 0), first[place]) if group else last[place]
                for place in places[topic]
            }
            for topic, group in groups.items()
        }
        undone = {
            topic: {place: offset for place, offset in offsets.items() if offset < last[place]}
            for topic, offsets in done.items()
        }
        ages = await find_waiting_ages(consumer, undone)
    finally:
        await asyncio.gather(admin.close(), consumer.stop())
    return [
        Depth(
            topic,
            group,
            len(places[topic]),
            depth=sum(last[place] - first[place] for place in places[topic]),
            lag=sum(last[place] - offset for place, offset in undone[topic].items()),
            oldest_seconds=ages.get(topic, 0.0),
            written=sum(last[place] for place in places[topic]),
            done=sum(done[topic].values()),
        )
        for topic, group in groups.items()
    ]


async def _find_partitions(
    admin: AIOKafkaAdminClient, prefix: str, groups: Mapping[str, str]
) -> dict[str, list[TopicPartition]]:
    found = {each["topic"]: each["partitions"] for each in await admin.describe_topics()}
    return {
        topic: [
            TopicPartition(prefix + topic, each["partition"])
            for each in found.get(prefix + topic, ())
        ]
        for topic in groups
    }


async def _read_commits(
    admin: AIOKafkaAdminClient, settings: RuntimeSettings, group: str
) -> dict[TopicPartition, int]:
    while True:
        try:
            found = await admin.list_consumer_group_offsets(settings.topic_prefix + group)
        except (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError):
            # A broker that has never had a group makes its topic of offsets first.
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return {place: commit.offset for place, commit in found.items()}


def _names(groups: Mapping[str, str]) -> list[str]:
    return sorted({group for group in groups.values() if group})
