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


class TopicStatus(Answer):
    """One topic: the records that it holds, and those that its consumer group has not done."""

    topic: str
    group: str
    partitions: int
    depth: int
    lag: int


class ConnectorStatus(Answer):
    """One connector's commands: those that its topic holds, and those not done yet."""

    connector: str
    depth: int
    lag: int


class QueueStatus(Answer):
    """How full the platform is. `queueSize` counts requests and commands that wait, `deadLetters`
    messages that nobody could deal with or has replayed; null while that is not known."""

    queue_size: int
    topics: list[TopicStatus]
    connectors: list[ConnectorStatus]
    dead_letters: int | None
    dead_letters_of: dict[str, int] | None = Field(description="By connector; `orchestrator` too.")
    observed_at: datetime
