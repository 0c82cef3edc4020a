"""Seeing that the consumer is not deaf, and how far it is behind."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from mirsal_contracts.topics import EXECUTIONS_REQUESTED_V1
from mirsal_runtime import metrics
from mirsal_runtime.ages import Stamped

from orchestrator.intake.records import TOPICS

LOOK_SECONDS = 5.0
REQUEST_SECONDS = 4.0
PATIENCE = 3


class ConsumerDeaf(KafkaError):
    """There is something to read, and the consumer does not read it: make a new one."""


class Place(NamedTuple):
    """Where a partition is read next, and its end."""

    position: int
    end: int


async def watch_consumer(
    consumer: AIOKafkaConsumer, prefix: str, count_drained: Callable[[], int]
) -> None:
    """Raise `ConsumerDeaf` when look after look finds records unread, or finds out nothing.

    `count_drained` says how often all that the client had fetched was taken. Only if that grows is
    anything held against the client: while a batch is under way, nobody asks it for records.
    Each partition is looked at by itself, since others' records may flow past a deaf one.
    """
    strikes: dict[TopicPartition, int] = {}
    before: Mapping[TopicPartition, Place] = {}
    drained = failures = 0
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if not all(consumer.partitions_for_topic(prefix + topic) for topic in TOPICS):
            raise ConsumerDeaf("a topic is missing")
        drained_before, drained = drained, count_drained()
        was_asked = drained > drained_before
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                places = await _find_places(consumer)
        except (KafkaError, TimeoutError) as error:
            failures += was_asked
            if failures > PATIENCE:
                raise ConsumerDeaf("nobody says where it is") from error
            continue
        failures = 0
        _measure(places, prefix)
        if was_asked:
            strikes = {
                each: strikes.get(each, 0) + 1
                for each, place in places.items()
                if place.position < place.end and _has_stood(place, before.get(each))
            }
            before = places
        if PATIENCE in strikes.values():
            raise ConsumerDeaf("records wait unread")


def _has_stood(place: Place, before: Place | None) -> bool:
    return before is not None and before.position == place.position < before.end


async def _find_places(consumer: AIOKafkaConsumer) -> dict[TopicPartition, Place]:
    assigned = tuple(consumer.assignment())
    ends = await consumer.end_offsets(assigned) if assigned else {}
    return {each: Place(await consumer.position(each), end) for each, end in ends.items()}


def _measure(places: Mapping[TopicPartition, Place], prefix: str) -> None:
    """Show by topic how many records wait."""
    lags = dict.fromkeys(TOPICS, 0)
    for each, place in places.items():
        lags[each.topic.removeprefix(prefix)] += max(0, place.end - place.position)
    for topic, lag in lags.items():
        metrics.CONSUMER_LAG.labels(topic).set(lag)
        if not lag:
            metrics.CONSUMER_OLDEST.labels(topic).set(0)
    metrics.QUEUE_SIZE.set(lags[EXECUTIONS_REQUESTED_V1.name])


def measure_batch(batch: Mapping[TopicPartition, Sequence[Stamped]], prefix: str) -> None:
    """Show by topic how many records were read, and how long ago the oldest was written."""
    now = time.time()
    ages: dict[str, float] = {}
    for each, records in batch.items():
        topic = each.topic.removeprefix(prefix)
        metrics.RECORDS_READ.labels(topic).inc(len(records))
        ages[topic] = max(ages.get(topic, 0.0), now - records[0].timestamp / 1000)
    for topic, age in ages.items():
        metrics.CONSUMER_OLDEST.labels(topic).set(age)
