"""Seeing that the consumer is not deaf, and how far it is behind."""

import asyncio
from collections import defaultdict
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from mirsal_contracts.topics import EXECUTIONS_REQUESTED_V1
from mirsal_runtime import metrics

from orchestrator.intake.records import TOPICS

LOOK_SECONDS = 5.0
REQUEST_SECONDS = 4.0
PATIENCE = 3


class ConsumerDeaf(KafkaError):
    """There is something to read, and the consumer does not read it: make a new one."""


async def watch_consumer(
    consumer: AIOKafkaConsumer, prefix: str, is_idle: Callable[[], bool]
) -> None:
    """Raise `ConsumerDeaf` when look after look records wait unread, or a topic is missing.

    While a batch is under way nothing is held against the consumer: then a server is away.
    """
    strikes = 0
    before: dict[str, int] = {}
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if not all(consumer.partitions_for_topic(prefix + topic) for topic in TOPICS):
            raise ConsumerDeaf("a topic is missing")
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                lags, positions = await _measure(consumer, prefix)
        except (KafkaError, TimeoutError):
            continue
        for topic, lag in lags.items():
            metrics.CONSUMER_LAG.labels(topic).set(lag)
        metrics.QUEUE_SIZE.set(lags.get(EXECUTIONS_REQUESTED_V1.name, 0))
        is_stuck = is_idle() and any(lags.values()) and positions == before
        strikes = strikes + 1 if is_stuck else 0
        if strikes == PATIENCE:
            raise ConsumerDeaf("records wait unread")
        before = positions


async def _measure(
    consumer: AIOKafkaConsumer, prefix: str
) -> tuple[dict[str, int], dict[str, int]]:
    """By topic: how many records wait, and the sum of the positions."""
    lags: dict[str, int] = defaultdict(int)
    positions: dict[str, int] = defaultdict(int)
    places = tuple(consumer.assignment())
    ends = await consumer.end_offsets(places) if places else {}
    for place, end in ends.items():
        position = await consumer.position(place)
        topic = place.topic.removeprefix(prefix)
        lags[topic] += max(0, end - position)
        positions[topic] += position
    return lags, positions
