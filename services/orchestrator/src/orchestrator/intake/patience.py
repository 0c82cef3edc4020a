"""Trying again in place while a server is away; a batch is never passed over."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from mirsal_runtime.broker import BrokerUnavailable
from mirsal_runtime.complaints import Complaint

from orchestrator.store.faults import DatabaseAway

ResultT = TypeVar("ResultT")

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0

Wait: TypeAlias = Callable[[float], Awaitable[None]]
"""Waits so many seconds; raises where going on is not worth it."""

_server_away = Complaint("server_away")


async def insist(call: Callable[[], Awaitable[ResultT]], wait: Wait) -> ResultT:
    """What `call` returns in the end, however long PostgreSQL or Kafka is away.

    `call` may have taken effect and be made again: it must bear that.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            return await call()
        except (DatabaseAway, BrokerUnavailable) as error:
            _server_away.say(error=error, pause_seconds=pause)
            await wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
