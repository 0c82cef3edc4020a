"""How old the oldest record is that a consumer has read and not done. No I/O."""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from aiokafka import TopicPartition

from mirsal_runtime.watermarks import Watermark


class Stamped(Protocol):
    """What is looked at of a record; `timestamp` is in milliseconds since 1970."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...


class _Batch(NamedTuple):
    end: int
    written_at: float


class Ages:
    """Remembers one time for each batch of a partition: that of its first record."""

    def __init__(self) -> None:
        self._batches: dict[TopicPartition, deque[_Batch]] = {}

    def note(self, partition: TopicPartition, records: Sequence[Stamped]) -> None:
        """Records were read, in order."""
        batches = self._batches.get(partition)
        if batches is None:
            batches = self._batches[partition] = deque()
        batches.append(_Batch(records[-1].offset + 1, records[0].timestamp / 1000))

    def oldest(self, watermarks: Mapping[TopicPartition, Watermark]) -> float:
        """Seconds since the oldest open record was written, at most by a batch too many; 0 if
        none is open. Forgets what is done, and partitions without a watermark."""
        for partition in self._batches.keys() - watermarks.keys():
            del self._batches[partition]
        written = min(self._first_open(watermarks), default=None)
        return 0.0 if written is None else max(0.0, time.time() - written)

    def _first_open(self, watermarks: Mapping[TopicPartition, Watermark]) -> Iterator[float]:
        for partition, batches in self._batches.items():
            done = watermarks[partition].committable or 0
            while batches and batches[0].end <= done:
                batches.popleft()
            if batches:
                yield batches[0].written_at
