"""What wakes a run: `run.timers.v1`."""

from datetime import datetime
from typing import ClassVar

from mirsal_contracts.message import Message


class TimerFired(Message):
    """The run's earliest wait is over: a retry is due, or an answer has not come in time.

    `due_at` is the time that was waited for, by the orchestrator database's clock.
    """

    TYPE: ClassVar[str] = "mirsal.timer.fired.v1"

    workspace: str
    run_id: str
    due_at: datetime
