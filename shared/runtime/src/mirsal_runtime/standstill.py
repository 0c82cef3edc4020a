"""Readiness by lag: records wait and this process reads none of them."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from prometheus_client.metrics import MetricWrapperBase

from mirsal_runtime.metrics import CONSUMER_LAG, RECORDS_READ

STANDSTILL_SECONDS: Final = 60.0
"""So long records may wait without one being read; a provider's pause is longer than a retry's."""
SEEN_SECONDS: Final = 30.0
"""Whoever asks more seldom cannot say that nothing happened in between."""


class Standstill:
    """A check of a process that consumes these topics, by the contracts' names.

    How many records wait is no reason by itself: a process that reads is of use, and one that was
    taken out of a rollout for being behind would keep those from being replaced that are.
    """

    def __init__(self, topics: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._topics = frozenset(topics)
        self._clock = clock
        self._read = -1.0
        self._since = self._asked_at = clock()

    async def __call__(self) -> str | None:
        """Why the process is of no use, or None."""
        now, lag, read = self._clock(), self._sum(CONSUMER_LAG), self._sum(RECORDS_READ)
        if not lag or read != self._read or now - self._asked_at > SEEN_SECONDS:
            self._read, self._since = read, now
        self._asked_at = now
        if now - self._since < STANDSTILL_SECONDS:
            return None
        return f"{lag:.0f} records wait, and for {now - self._since:.0f} s none was read"

    def _sum(self, metric: MetricWrapperBase) -> float:
        return sum(
            sample.value
            for family in metric.collect()
            for sample in family.samples
            if sample.labels["topic"] in self._topics
        )
