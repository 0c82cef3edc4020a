"""The sweeper: proves that no unfinished run is forgotten, and wakes one that is."""

import asyncio
from datetime import timedelta

import structlog
from mirsal_runtime import metrics

from orchestrator.intake.resting import RESTING
from orchestrator.store.faults import DatabaseAway
from orchestrator.store.timers import TimerStore

SWEEP_SECONDS = 15.0
OVERDUE = timedelta(seconds=60)
LIMIT = 1000

log = structlog.get_logger(__name__)


class Sweeper:
    """Looks after runs whose time came long ago and that nothing has moved.

    That a run waits for something at all, PostgreSQL sees to (`unfinished_run_is_woken_or_rests`).
    So what can go wrong is that its wake-up was sent and came to nothing: then it is sent again.
    """

    def __init__(self, store: TimerStore, *, overdue: timedelta = OVERDUE) -> None:
        self._store = store
        self._overdue = overdue

    async def run(self) -> None:
        """Sweep every now and then, until cancelled."""
        while True:
            try:
                await self.sweep()
            except DatabaseAway as error:
                log.warning("sweep_waits", error=error)
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> list[str]:
        """Have overdue runs woken at once; their ids."""
        timers = await self._store.survey()
        metrics.TIMERS_DUE.set(timers.due)
        metrics.TIMERS_LATE.set(timers.late_seconds)
        metrics.TIMERS_LEASED.set(timers.leased)
        for status, count in (await self._store.count_resting(RESTING)).items():
            metrics.RUNS_RESTING.labels(status).set(count)
        woken = await self._store.wake_overdue(self._overdue, LIMIT)
        metrics.RUNS_STUCK.set(len(woken))
        if woken:
            metrics.RUNS_SWEPT.inc(len(woken))
            log.warning("runs_overdue", count=len(woken), run_ids=woken[:10])
        return woken
