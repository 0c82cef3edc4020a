"""What can happen to a run. Each event knows its time: `at`, by the database's clock."""

from datetime import datetime
from typing import NamedTuple, TypeAlias

from mirsal_contracts.controls import CancelRun, ReplayLetter, ResolveExecution, RetryRun
from mirsal_contracts.message import JsonObject
from mirsal_contracts.statuses import NodeFailed, NodeSucceeded, NodeUnconfirmed


class Requested(NamedTuple):
    """The gateway asked for the run."""

    at: datetime

    @property
    def key(self) -> str:
        return "requested"


class Reported(NamedTuple):
    """A connector told what became of an attempt."""

    at: datetime
    status: NodeSucceeded | NodeFailed | NodeUnconfirmed

    @property
    def key(self) -> str:
        status = self.status
        return f"{status.node_id}/{status.attempt}/{status.status}"


class Woken(NamedTuple):
    """The run's earliest wait is over; `due_at` is what was waited for."""

    at: datetime
    due_at: datetime

    @property
    def key(self) -> str:
        return f"woken/{self.due_at.isoformat()}"


class Abandoned(NamedTuple):
    """What the run came to cannot be stored: it ends here, for this reason."""

    at: datetime
    fault: JsonObject

    @property
    def key(self) -> str:
        return "abandoned"


class Erased(NamedTuple):
    """The run's lead was erased."""

    at: datetime

    @property
    def key(self) -> str:
        return "erased"


class Cancelled(NamedTuple):
    """A person wants the run to end."""

    at: datetime
    message: CancelRun

    @property
    def key(self) -> str:
        return f"cancel/{self.message.control_id}"


class Retried(NamedTuple):
    """A person wants the run to go on from where it failed."""

    at: datetime
    message: RetryRun

    @property
    def key(self) -> str:
        return f"retry/{self.message.control_id}"


class Resolved(NamedTuple):
    """A person says what became of an execution that rests."""

    at: datetime
    message: ResolveExecution

    @property
    def key(self) -> str:
        return f"resolve/{self.message.control_id}"


class Replayed(NamedTuple):
    """A person wants a command asked for again that went to the dead letters."""

    at: datetime
    message: ReplayLetter
    node_id: str
    execution_id: str
    attempt: int

    @property
    def key(self) -> str:
        return f"replay/{self.message.control_id}/{self.node_id}"


Controlled: TypeAlias = Cancelled | Retried | Resolved
Event: TypeAlias = Requested | Reported | Woken | Abandoned | Erased | Controlled | Replayed
