"""`python -m mirsal_runtime.topics apply|check`: the topics of the contracts, on the broker.

Makes what is missing and raises what is too low; nothing is ever lowered or removed.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import InvalidPartitionsError, KafkaError, for_code
from mirsal_contracts.topics import TOPICS, Topic

from mirsal_runtime.endings import told_faults
from mirsal_runtime.kafka_connection import kafka_connection
from mirsal_runtime.log_faults import Told
from mirsal_runtime.settings import RuntimeSettings

REQUEST_SECONDS = 10.0
START_SECONDS = 30.0
WELL_SECONDS = 10.0
SHOWN_SECONDS = 0.1

_NO_ERROR = 0
_TOPIC_ALREADY_EXISTS = 36
_DYNAMIC_TOPIC_CONFIG = 1


class TopicsDiffer(Told):
    """The broker refused a change, or has not what it needs; the text says what."""


class Difference(NamedTuple):
    """What a topic lacks: all of it, partitions, or settings."""

    topic: Topic
    missing: bool
    partitions: int
    settings: Mapping[str, str]

    def __str__(self) -> str:
        if self.missing:
            return f"{self.topic.name}: missing"
        parts = [f"{name}={value}" for name, value in self.settings.items()]
        if self.partitions < self.topic.partitions:
            parts.insert(0, f"partitions={self.topic.partitions} (has {self.partitions})")
        return f"{self.topic.name}: needs {', '.join(parts)}"


class TopicBoard:
    """The broker's topics, as an administrator sees them. Make it with `open_board`."""

    def __init__(self, admin: AIOKafkaAdminClient, settings: RuntimeSettings) -> None:
        self._admin = admin
        self._prefix = settings.topic_prefix
        self._replication = settings.topic_replication

    async def find_differences(self, topics: Sequence[Topic]) -> list[Difference]:
        """What `topics` lack."""
        replication = await self._replication_of(topics)
        partitions = await self.count_partitions(topics)
        there = [topic for topic in topics if topic.name in partitions]
        found = await self._read_settings(there)
        differences = [Difference(topic, True, 0, {}) for topic in topics if topic not in there]
        for topic in there:
            wanted = _settings_of(topic, replication[topic.name])
            raised = {
                name: value
                for name, value in wanted.items()
                if _is_lower(found[topic.name].get(name), value)
            }
            if raised or partitions[topic.name] < topic.partitions:
                differences.append(Difference(topic, False, partitions[topic.name], raised))
        return differences

    async def apply(self, differences: Sequence[Difference]) -> None:
        """Make up for `differences`. Raises `TopicsDiffer` for what the broker refuses."""
        await self._create([each.topic for each in differences if each.missing])
        grown = {
            self._prefix + each.topic.name: NewPartitions(each.topic.partitions)
            for each in differences
            if not each.missing and each.partitions < each.topic.partitions
        }
        if grown:
            # Refused when the topic has them already: the next look will show it.
            with suppress(InvalidPartitionsError):
                await self._admin.create_partitions(grown)
        await self._raise_settings([each for each in differences if each.settings])

    async def count_partitions(self, topics: Sequence[Topic]) -> dict[str, int]:
        """The number of partitions of each of `topics` that exists, by the contract's name."""
        found = {
            each["topic"]: len(each["partitions"])
            for each in await self._admin.describe_topics()
            if each["error_code"] == _NO_ERROR
        }
        return {
            topic.name: found[self._prefix + topic.name]
            for topic in topics
            if self._prefix + topic.name in found
        }

    async def _replication_of(self, topics: Sequence[Topic]) -> dict[str, int]:
        brokers = len((await self._admin.describe_cluster())["brokers"])
        return {
            topic.name: self._replication or (1 if brokers == 1 else topic.replication)
            for topic in topics
        }

    async def _create(self, topics: Sequence[Topic]) -> None:
        if not topics:
            return
        replication = await self._replication_of(topics)
        answer = await self._admin.create_topics(
            [
                NewTopic(
                    self._prefix + topic.name,
                    topic.partitions,
                    replication[topic.name],
                    topic_configs=_settings_of(topic, replication[topic.name]),
                )
                for topic in topics
            ]
        )
        for each in answer.to_object()["topic_errors"]:
            if each["error_code"] != _TOPIC_ALREADY_EXISTS:
                _refuse_error(each["topic"], each)

    async def _read_settings(
        self, topics: Sequence[Topic], *, own: bool = False
    ) -> dict[str, dict[str, str]]:
        if not topics:
            return {}
        answers = await self._admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, self._prefix + each.name) for each in topics]
        )
        return {
            each["resource_name"].removeprefix(self._prefix): {
                entry["config_names"]: entry["config_value"]
                for entry in each["config_entries"]
                if not own or entry["config_source"] == _DYNAMIC_TOPIC_CONFIG
            }
            for answer in answers
            for each in answer.to_object()["resources"]
        }

    async def _raise_settings(self, differences: Sequence[Difference]) -> None:
        """Sends each topic's own settings whole: what this request leaves out is reset."""
        if not differences:
            return
        own = await self._read_settings([each.topic for each in differences], own=True)
        answers = await self._admin.alter_configs(
            [
                ConfigResource(
                    ConfigResourceType.TOPIC,
                    self._prefix + each.topic.name,
                    {**own[each.topic.name], **each.settings},
                )
                for each in differences
            ]
        )
        for answer in answers:
            for each in answer.to_object()["resources"]:
                _refuse_error(each["resource_name"], each)


class TopicsPresent:
    """A readiness check: all of `topics` exist with enough partitions. Remembers success."""

    def __init__(self, settings: RuntimeSettings, topics: Sequence[Topic]) -> None:
        self._settings = settings
        self._topics = topics
        self._well_until = 0.0

    async def __call__(self) -> str | None:
        """Which topics are missing or too small, and what to do; None when all is well."""
        if time.monotonic() < self._well_until:
            return None
        async with open_board(self._settings) as board:
            found = await board.count_partitions(self._topics)
        lacking = [
            topic.name for topic in self._topics if found.get(topic.name, 0) < topic.partitions
        ]
        if lacking:
            return f"missing or too few partitions: {', '.join(lacking)}; run mirsal_runtime.topics"
        self._well_until = time.monotonic() + WELL_SECONDS
        return None


@asynccontextmanager
async def open_board(settings: RuntimeSettings) -> AsyncIterator[TopicBoard]:
    """Connect as administrator. Raises `KafkaError` when no broker answers."""
    admin = AIOKafkaAdminClient(
        **kafka_connection(settings),
        client_id=settings.instance,
        request_timeout_ms=int(REQUEST_SECONDS * 1000),
    )
    try:
        await admin.start()
        yield TopicBoard(admin, settings)
    finally:
        await admin.close()


async def apply_topics(
    settings: RuntimeSettings, topics: Sequence[Topic] = TOPICS
) -> list[Difference]:
    """Make the broker's topics as the contracts say; what had to be done.

    Returns when the broker shows them so: it takes a moment, and another may be at it too. Raises
    `TopicsDiffer` if it never does.
    """
    made: list[Difference] = []
    deadline = time.monotonic() + REQUEST_SECONDS
    async with open_board(settings) as board:
        while differences := await board.find_differences(topics):
            if time.monotonic() > deadline:
                raise TopicsDiffer("; ".join(map(str, differences)))
            await board.apply(differences)
            made = made or differences
            await asyncio.sleep(SHOWN_SECONDS)
    return made


async def _run(command: str, settings: RuntimeSettings) -> int:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if command == "apply":
                return _report(await apply_topics(settings), "made")
            async with open_board(settings) as board:
                differences = await board.find_differences(TOPICS)
            _report(differences, "differs")
            return 1 if differences else 0
        except KafkaError as error:
            if time.monotonic() > deadline:
                sys.stderr.write(f"Kafka does not answer: {error!r}\n")
                return 1
            await asyncio.sleep(0.2)
        except TopicsDiffer as error:
            sys.stderr.write(f"{error}\n")
            return 1


def _report(differences: Sequence[Difference], what: str) -> int:
    for difference in differences:
        sys.stdout.write(f"{what}: {difference}\n")
    return 0


def _settings_of(topic: Topic, replication: int) -> dict[str, str]:
    return {
        "min.insync.replicas": str(min(topic.min_insync_replicas, replication)),
        "retention.ms": str(topic.retention_hours * 3_600_000),
        "max.message.bytes": str(topic.max_message_bytes),
    }


def _refuse_error(name: str, answer: Mapping[str, Any]) -> None:
    code = answer["error_code"]
    if code != _NO_ERROR:
        raise TopicsDiffer(f"{name}: {for_code(code).__name__}: {answer['error_message']}")


def _is_lower(found: str | None, wanted: str) -> bool:
    """Whether a setting must be raised; a retention of -1 is for ever."""
    return found is None or (found != "-1" and int(found) < int(wanted))


if __name__ == "__main__":
    if sys.argv[1:] not in (["apply"], ["check"]):
        sys.exit("usage: python -m mirsal_runtime.topics apply|check")
    with told_faults():
        sys.exit(asyncio.run(_run(sys.argv[1], RuntimeSettings())))
