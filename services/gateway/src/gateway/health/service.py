"""Asks the gateway's servers how they are, seldom enough that anybody may ask the gateway."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from mirsal_contracts.topics import COMMANDS, EXECUTIONS_REQUESTED_V1, TOPICS
from mirsal_runtime.depths import Depth, DepthsUnknown, read_depths
from mirsal_runtime.exposition import expose
from mirsal_runtime.health import Check, gather_reasons
from mirsal_runtime.label_bounds import LabelBound

from gateway.health.flow import Flow, Rates
from gateway.health.metrics_text import collect_metrics
from gateway.health.schemas import (
    ConnectorStatus,
    Dependency,
    QueueStatus,
    Readiness,
    TopicStatus,
)
from gateway.health.store import Total, TotalStore
from gateway.letters.store import LetterStore
from gateway.problems import unavailable
from gateway.recent import Recent
from gateway.settings import GatewaySettings
from gateway.store import DatabaseUnavailable

READY_SECONDS = 1.0
QUEUE_SECONDS = 3.0
CHECK_SECONDS = 2.0
"""Above the second that /ready on the health port gives: a check there keeps its own reason."""

GROUPS: Mapping[str, str] = {topic.name: topic.reader for topic in TOPICS if topic.reader}
_WAITING = {EXECUTIONS_REQUESTED_V1.name, *(topic.name for topic in COMMANDS.values())}

log = structlog.get_logger(__name__)


class Health:
    """The answers of the calls that need no key; each is remembered for a few seconds."""

    def __init__(
        self,
        settings: GatewaySettings,
        totals: TotalStore,
        letters: LetterStore,
        *,
        required: Mapping[str, Check],
        optional: Mapping[str, Check],
    ) -> None:
        self.required = required
        self._optional = optional
        self._settings = settings
        self._workflows = LabelBound(settings.metrics_workflows)
        self._flow = Flow()
        self._readiness: Recent[Readiness] = Recent(self._ask_all, seconds=READY_SECONDS)
        self._queue: Recent[QueueStatus] = Recent(self._measure, seconds=QUEUE_SECONDS)
        self._letters: Recent[dict[str, int]] = Recent(letters.count, seconds=QUEUE_SECONDS)
        self._totals: Recent[list[Total]] = Recent(totals.read, seconds=QUEUE_SECONDS)

    async def readiness(self) -> Readiness:
        """Whether calls can be served."""
        return await self._readiness.get()

    async def queue_status(self) -> QueueStatus:
        """How full the topics are. Raises a 503 `Problem`."""
        try:
            return await self._queue.get()
        except DepthsUnknown as error:
            raise unavailable("Kafka does not say how full its topics are.") from error

    async def metrics_text(self, accept: str) -> tuple[bytes, str]:
        """The product's metrics and their content type, in the format that an `Accept` header
        asks for. Raises `DatabaseUnavailable`."""
        try:
            queue_size: int | None = (await self._queue.get()).queue_size
        except DepthsUnknown:
            queue_size = None
        totals, letters = await self._totals.get(), await self._count_letters()
        return expose(accept, collect_metrics(totals, queue_size, letters, self._workflows))

    async def _ask_all(self) -> Readiness:
        checks = {**self.required, **self._optional}
        reasons = await gather_reasons(checks, seconds=CHECK_SECONDS)
        if reasons:
            log.warning("dependency_down", servers=sorted(reasons))
        dependencies = {
            name: Dependency(
                status="down" if name in reasons else "up",
                required=name in self.required,
                reason=reasons.get(name),
            )
            for name in checks
        }
        ready = not reasons.keys() & self.required.keys()
        return Readiness(status="ready" if ready else "not ready", dependencies=dependencies)

    async def _measure(self) -> QueueStatus:
        depths = await read_depths(self._settings, GROUPS)
        rates = self._flow.note(depths)
        fillings = {each.topic: _filling_of(each, rates[each.topic]) for each in depths}
        letters = await self._count_letters()
        return QueueStatus(
            queue_size=sum(each.lag for each in depths if each.topic in _WAITING),
            topics=[
                TopicStatus(
                    topic=each.topic,
                    group=each.group,
                    partitions=each.partitions,
                    **fillings[each.topic],
                )
                for each in depths
            ],
            connectors=[
                ConnectorStatus(connector=name, **fillings[topic.name])
                for name, topic in COMMANDS.items()
            ],
            dead_letters=None if letters is None else sum(letters.values()),
            dead_letters_of=letters,
            observed_at=datetime.now(UTC),
        )

    async def _count_letters(self) -> dict[str, int] | None:
        """None while PostgreSQL is away: how full Kafka is can be told without it."""
        try:
            return await self._letters.get()
        except DatabaseUnavailable:
            return None


def _filling_of(depth: Depth, rates: Rates) -> dict[str, Any]:
    return {
        "depth": depth.depth,
        "lag": depth.lag,
        "oldest_seconds": round(depth.oldest_seconds, 1),
        "in_per_second": _rounded(rates.into),
        "out_per_second": _rounded(rates.out),
        "seconds_to_drain": _rounded(rates.seconds_to_drain),
    }


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)
