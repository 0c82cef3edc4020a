"""How long the oldest record of a topic has waited, asked of Kafka without reading any record.

For that takes the right to describe a topic, not to read it: whoever looks at queues need not
see what is in them.
"""

import time
from collections.abc import Mapping
from typing import Final, Protocol

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndTimestamp

LONGEST_SECONDS: Final = float(1 << 24)
"""Half a year: what is older is said to be so old."""
EXACT_SECONDS: Final = 0.5
EXACT_SHARE: Final = 0.05


class Index(Protocol):
    """What finds records by their time; Kafka's consumers do."""

    async def offsets_for_times(
        self, timestamps: dict[TopicPartition, int]
    ) -> Mapping[TopicPartition, OffsetAndTimestamp | None]:
        """The first record of each partition that is as young as that (milliseconds), or None."""


async def find_waiting_ages(
    index: Index, undone: Mapping[str, Mapping[TopicPartition, int]]
) -> dict[str, float]:
    """Seconds since the oldest undone record of each topic was written, to half a second or a
    twentieth. `undone`: the partitions of each topic that are behind, and how far each is done.
    """
    now = time.time()
    searches = {topic: _Search() for topic, places in undone.items() if places}
    while True:
        probes = {topic: search.probe for topic, search in searches.items() if not search.is_exact}
        if not probes:
            return {topic: search.low for topic, search in searches.items()}
        times = {
            place: max(0, round((now - age) * 1000))
            for topic, age in probes.items()
            for place in undone[topic]
        }
        found = await index.offsets_for_times(times)
        for topic in probes:
            searches[topic].narrow(
                any(_is_older(found.get(place), done) for place, done in undone[topic].items())
            )


def _is_older(first: OffsetAndTimestamp | None, undone: int) -> bool:
    """Whether an undone record is from before the time of which this is the first record."""
    return first is None or first.offset > undone


class _Search:
    """The age lies between `low` and `high`: first doubled, then halved."""

    def __init__(self) -> None:
        self.low = 0.0
        self.high: float | None = None

    @property
    def probe(self) -> float:
        if self.high is None:
            return max(1.0, self.low * 2)
        return (self.low + self.high) / 2

    @property
    def is_exact(self) -> bool:
        if self.high is None:
            return self.low >= LONGEST_SECONDS
        return self.high - self.low <= max(EXACT_SECONDS, self.low * EXACT_SHARE)

    def narrow(self, is_older: bool) -> None:
        if is_older:
            self.low = self.probe
        else:
            self.high = self.probe
