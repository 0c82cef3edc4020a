"""Commands that another holder works on: they wait here, without a slot, for its outcome."""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress

import structlog

from mirsal_runtime import metrics
from mirsal_runtime.ledger import Ledger, LedgerKey, LedgerUnavailable, Standing
from mirsal_runtime.presence import Presence
from mirsal_runtime.watermarks import Watermark
from mirsal_runtime.work import Work

LOOK_SECONDS = 0.5

log = structlog.get_logger(__name__)

Conclude = Callable[[Work, Standing], None]


class SetAside:
    """Looks at the ledger twice a second, for all that are set aside at once.

    `conclude` is given each command that nobody holds any more. `is_here` says whether this
    process works on a key at the moment: such commands wait for that.
    """

    def __init__(
        self,
        ledger: Ledger,
        presence: Presence,
        *,
        is_here: Callable[[LedgerKey], bool],
        conclude: Conclude,
    ) -> None:
        self._ledger = ledger
        self._presence = presence
        self._is_here = is_here
        self._conclude = conclude
        self._works: set[Work] = set()
        self._nudge = asyncio.Event()

    def __len__(self) -> int:
        return len(self._works)

    def add(self, work: Work) -> None:
        """Have a command wait until nobody holds its row."""
        self._works.add(work)

    def drop(self, watermarks: Collection[Watermark]) -> list[Work]:
        """Take out the commands of these partitions; they are marked as dropped."""
        dropped = [work for work in self._works if work.watermark in watermarks]
        for work in dropped:
            work.dropped = True
            self._works.discard(work)
        return dropped

    def nudge(self) -> None:
        """Look at once: something ended here."""
        if self._works:
            self._nudge.set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._nudge.wait()
            self._nudge.clear()
            works = [work for work in self._works if not self._is_here(work.key)]
            if works:
                with suppress(LedgerUnavailable):
                    await self._look(works)

    async def _look(self, works: list[Work]) -> None:
        standings = await self._ledger.look([(work.key, work.command.attempt) for work in works])
        for work, standing in zip(works, standings, strict=True):
            if work not in self._works:
                continue
            if standing.verdict == "held":
                await self._take_over(work, standing)
            else:
                self._works.discard(work)
                self._conclude(work, standing)

    async def _take_over(self, work: Work, standing: Standing) -> None:
        """Make the claim of a holder that is gone unconfirmed; the next look finds it so."""
        holder = standing.holder
        if holder is None or not standing.lease_over:
            return
        # What this process holds and does not work on was lost in it, by a fault of ours.
        gone = holder == self._ledger.holder or self._presence.is_gone(holder)
        if gone and await self._ledger.take_over(work.key, standing.attempt, holder):
            metrics.CLAIMS_TAKEN_OVER.labels(work.command.connector).inc()
            log.warning(
                "claim_taken_over",
                run_id=work.command.run_id,
                execution_id=work.command.execution_id,
                attempt=standing.attempt,
                holder=holder,
            )
            self._nudge.set()
