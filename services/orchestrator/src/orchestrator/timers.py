"""The poller: wakes the runs that are due, through Kafka and under the run's key."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from mirsal_contracts.message import Envelope
from mirsal_contracts.timers import TimerFired
from mirsal_contracts.topics import RUN_TIMERS_V1
from mirsal_runtime.broker import BrokerUnavailable, Outgoing
from mirsal_runtime.complaints import Complaint

from orchestrator.intake.settling import Sender
from orchestrator.store.faults import DatabaseAway
from orchestrator.store.timers import DueRun, TimerStore

LONGEST_SLEEP = timedelta(seconds=1)
"""Within this another process's runs are seen too, should it die."""
OTHERS_PAUSE = timedelta(milliseconds=50)
"""What is due is being leased by another, or written at this moment."""
RETRY_SECONDS = 0.5
LIMIT = 500


class Poller:
    """Sleeps until the next run is due. Several share the work: what one has leased others skip."""

    def __init__(
        self, store: TimerStore, sender: Sender, *, longest_sleep: timedelta = LONGEST_SLEEP
    ) -> None:
        self._store = store
        self._sender = sender
        self._longest_sleep = longest_sleep
        self._sooner = asyncio.Event()
        self._next_look: datetime | None = None
        self._waits = Complaint("timers_wait")

    def expect(self, wake_at: datetime) -> None:
        """A run was just given this time to be woken."""
        if self._next_look is None or wake_at < self._next_look:
            self._sooner.set()

    async def run(self) -> None:
        """Wake what is due, until cancelled."""
        while True:
            # What is expected from here on may come too late for the look: then there is another.
            self._sooner.clear()
            self._next_look = None
            try:
                pause = await self._look()
            except (DatabaseAway, BrokerUnavailable) as error:
                self._waits.say(error=error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(pause.total_seconds()):
                    await self._sooner.wait()

    async def _look(self) -> timedelta:
        """Wake what is due; how long there is nothing to do."""
        now, due_at = await self._store.read_next_due()
        if due_at is not None and due_at <= now:
            due = await self._store.lease_due(LIMIT)
            if not due:
                return OTHERS_PAUSE
            await self._wake(due, now)
            return timedelta(0)
        latest = now + self._longest_sleep
        self._next_look = latest if due_at is None else min(due_at, latest)
        return self._next_look - now

    async def _wake(self, due: Sequence[DueRun], now: datetime) -> None:
        """Send the wake-ups. What Kafka did not take is due at once, not when its lease is over:
        the later a run is, the longer that lasts, and Kafka may be back any moment."""
        try:
            await self._sender.send([_message(run, now) for run in due])
        except BrokerUnavailable:
            await self._store.give_back(due)
            raise


def _message(run: DueRun, now: datetime) -> Outgoing:
    fired = TimerFired(workspace=run.workspace, run_id=run.run_id, due_at=run.due_at)
    envelope = Envelope(
        id=f"{run.run_id}.{run.due_at.isoformat()}",
        type=TimerFired.TYPE,
        source="orchestrator",
        subject=run.run_id,
        workspace=run.workspace,
        time=now.isoformat(),
        traceparent=run.traceparent,
    )
    return Outgoing(RUN_TIMERS_V1.name, run.run_id, fired.to_json(), envelope.to_headers())
