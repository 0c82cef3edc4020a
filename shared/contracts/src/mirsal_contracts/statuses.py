"""What connectors answer: `node.statuses.v1`, a union told apart by `status`."""

from datetime import datetime
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from mirsal_contracts.message import JsonObject, Message

FailureKind: TypeAlias = Literal[
    "transient", "throttled", "action_required", "permanent", "expired"
]


UNREADABLE_COMMAND: Final = "unreadable_command"
"""The code of an execution whose command no process could read: surely nothing was sent."""


class Fault(Message):
    """Why it did not work, for people and programs: `code` is stable, `message` says what to do.

    `outcome` is the class of a code node's failure: user_error, timeout, memory and so on. Where
    the command was sealed, `details` has the one member `$sealed`, with the true message and
    details.
    """

    code: str
    message: str
    details: JsonObject | None = None
    outcome: str | None = None


class StatusFields(Message):
    """Which attempt the status is of, and when it ran (by the connector's clock)."""

    workspace: str
    run_id: str
    execution_id: str
    command_id: str
    workflow_id: str
    node_id: str
    iteration: int = 0
    attempt: int
    connector: str
    started_at: datetime
    ended_at: datetime


class NodeSucceeded(StatusFields):
    """The effect happened. `output` is sealed as a command's config where that was."""

    TYPE: ClassVar[str] = "mirsal.node.succeeded.v1"

    status: Literal["success"] = "success"
    output: JsonObject = Field(default_factory=dict)


class NodeFailed(StatusFields):
    """The effect surely did not happen.

    `kind` says what follows: `transient` is tried again with backoff, `throttled` not before
    `retry_after_seconds` have passed, `action_required` parks for a person, `permanent` fails,
    `expired` (the deadline passed before the attempt began) is asked for again.
    """

    TYPE: ClassVar[str] = "mirsal.node.failed.v1"

    status: Literal["failed"] = "failed"
    kind: FailureKind
    error: Fault
    retry_after_seconds: float | None = None


class NodeUnconfirmed(StatusFields):
    """Nobody can tell whether the effect happened."""

    TYPE: ClassVar[str] = "mirsal.node.unconfirmed.v1"

    status: Literal["unconfirmed"] = "unconfirmed"
    error: Fault


NodeStatus: TypeAlias = Annotated[
    NodeSucceeded | NodeFailed | NodeUnconfirmed, Field(discriminator="status")
]
NODE_STATUS: TypeAdapter[NodeSucceeded | NodeFailed | NodeUnconfirmed] = TypeAdapter(NodeStatus)
