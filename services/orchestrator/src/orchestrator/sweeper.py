"""The sweeper: proves that no unfinished run is forgotten, and wakes one that is."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog
from mirsal_runtime import metrics
from mirsal_runtime.vault.lead_keys import ERASED, KeysAway, LeadKeys
from mirsal_runtime.vault.personal import KeyName

from orchestrator.intake.resting import RESTING
from orchestrator.retention import Retention
from orchestrator.store.faults import DatabaseAway
from orchestrator.store.timers import TimerStore

SWEEP_SECONDS = 15.0
OVERDUE = timedelta(seconds=60)
LIMIT = 1000
RESTING_LIMIT = 500
"""Of the runs that rest, so many are looked at in a sweep; the next ones in the next."""
_FIRST: Final = "00000000-0000-0000-0000-000000000000"

log = structlog.get_logger(__name__)


class Sweeper:
    """Looks after runs whose time came long ago and that nothing has moved.

    That a run waits for something at all, PostgreSQL sees to (`unfinished_run_is_woken_or_rests`).
    So what can go wrong is that its wake-up was sent and came to nothing: then it is sent again.

    A run that waits for a person although its lead was erased is woken, too: it parked while its
    key was still remembered, or nobody could tell it. Whatever event it then sees ends it.

    What ended long ago is removed, if there is a `retention`.
    """

    def __init__(
        self,
        store: TimerStore,
        keys: LeadKeys,
        *,
        overdue: timedelta = OVERDUE,
        retention: Retention | None = None,
    ) -> None:
        self._store = store
        self._keys = keys
        self._overdue = overdue
        self._resting_after = _FIRST
        self._retention = retention

    async def run(self) -> None:
        """Sweep every now and then, until cancelled."""
        while True:
            try:
                await self.sweep()
                await self.wake_erased()
                if self._retention is not None:
                    await self._retention.remove_some()
            except (DatabaseAway, KeysAway) as error:
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

    async def wake_erased(self) -> list[str]:
        """Have some of the runs woken that rest although their lead was erased; their ids."""
        page = await self._store.list_resting(self._resting_after, RESTING_LIMIT)
        names = {
            run.run_id: KeyName(run.workspace, run.key_id) for run in page if run.key_id is not None
        }
        keys = await self._keys.find(names.values(), anew=frozenset(names.values()))
        erased = [run_id for run_id, name in names.items() if keys[name] == ERASED]
        if erased:
            await self._store.wake_resting(erased)
            log.info("runs_of_erased_leads", count=len(erased), run_ids=erased[:10])
        self._resting_after = page[-1].run_id if len(page) == RESTING_LIMIT else _FIRST
        return erased
