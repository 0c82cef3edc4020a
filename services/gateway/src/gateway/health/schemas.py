"""The bodies of the health calls."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from gateway.shapes import Answer


class Liveness(Answer):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Dependency(Answer):
    """A server that the gateway needs; one that is not `required` is made do without."""

    status: Literal["up", "down"]
    required: bool
    reason: str | None = None


class Readiness(Answer):
    """Whether calls can be served, and what stands in the way."""

    status: Literal["ready", "not ready"]
    dependencies: dict[str, Dependency]


class Filling(Answer):
    """How full something is, and how that changes.

    `depth` counts the records that are held, `lag` those not done yet; `oldestSeconds` is how long
    the oldest of these has waited. The rates are of the last minute, or of the time since somebody
    asked last; null where nobody has. `secondsToDrain` is null where that would be never.
    """

    depth: int
    lag: int
    oldest_seconds: float
    in_per_second: float | None
    out_per_second: float | None
    seconds_to_drain: float | None


class TopicStatus(Filling):
    """One topic and the consumer group that reads it."""

    topic: str
    group: str
    partitions: int


class ConnectorStatus(Filling):
    """One connector's commands."""

    connector: str


class QueueStatus(Answer):
    """How full the platform is. `queueSize` counts requests and commands that wait, `deadLetters`
    messages that nobody could deal with or has replayed; null while that is not known."""

    queue_size: int
    topics: list[TopicStatus]
    connectors: list[ConnectorStatus]
    dead_letters: int | None
    dead_letters_of: dict[str, int] | None = Field(description="By connector; `orchestrator` too.")
    observed_at: datetime
