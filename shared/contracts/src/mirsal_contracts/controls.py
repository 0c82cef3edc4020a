"""What is wanted of a run that exists: on `executions.requested.v1`, after its request."""

from datetime import datetime
from typing import ClassVar, Literal, TypeAlias

from pydantic import Field

from mirsal_contracts.message import Message

Verdict: TypeAlias = Literal["sent", "resend", "give_up"]


class ControlFields(Message):
    """Which run, who wants it, and the id under which it counts once, however often it comes."""

    workspace: str
    run_id: str
    control_id: str = Field(min_length=1, max_length=64)
    requested_by: str
    requested_at: datetime


class CancelRun(ControlFields):
    """End the run now: nothing more is sent.

    What was handed to a connector may still happen; its status is recorded and changes nothing.
    """

    TYPE: ClassVar[str] = "mirsal.run.cancel.v1"


class RetryRun(ControlFields):
    """Go on from the nodes that failed or were cancelled; what succeeded is not done again."""

    TYPE: ClassVar[str] = "mirsal.run.retry.v1"


class ResolveExecution(ControlFields):
    """Say what became of an execution that rests.

    `sent`: it happened. `resend`: make another attempt, even if that one happened. `give_up`: it
    fails. `attempt` is the one that the person saw: of a later one nothing was said.
    """

    TYPE: ClassVar[str] = "mirsal.execution.resolve.v1"

    execution_id: str
    node_id: str
    attempt: int
    verdict: Verdict


class ReplayLetter(ControlFields):
    """Deal once more with a record that went to the dead letters, which the orchestrator keeps.

    A command is asked for again only where the run still waits for it; a request, status, timer
    or control is taken as if it came for the first time.
    """

    TYPE: ClassVar[str] = "mirsal.letter.replay.v1"

    letter_id: str


class ForgetRun(ControlFields):
    """The run's lead was erased: end the run, if it goes on, and keep nothing personal of it."""

    TYPE: ClassVar[str] = "mirsal.run.forget.v1"
