"""Who lives: this process's own beats, and how long others' have been missed."""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from mirsal_runtime.ledger import Ledger, LedgerUnavailable

BEAT_SECONDS = 1.0
RETRY_SECONDS = 0.25
SILENT_SECONDS = 4.0
# However long the observer itself slept, one look proves no longer silence than this.
_LONGEST_STEP = 1.5 * BEAT_SECONDS
_FORGET_SECONDS = 3600.0

log = structlog.get_logger(__name__)


class Observer:
    """How long each holder has been silent, as far as this process saw it itself. Pure.

    Silence is summed over looks that succeeded, by this process's monotonic clock; a look that
    fails begins it anew, so that a restart of PostgreSQL makes nobody gone.
    """

    def __init__(self) -> None:
        self._beats: dict[UUID, int | None] = {}
        self._silence: dict[UUID, float] = {}
        self._looked_at: float | None = None

    def saw(self, beats: Mapping[UUID, int], at: float) -> None:
        """A look that began at `at` (monotonic seconds) found these beats."""
        since = at if self._looked_at is None else self._looked_at
        step = max(0.0, min(at - since, _LONGEST_STEP))
        self._looked_at = at
        for holder in self._beats.keys() | beats.keys():
            beat = beats.get(holder)
            if holder in self._beats and self._beats[holder] == beat:
                self._silence[holder] += step
            else:
                self._beats[holder] = beat
                self._silence[holder] = 0.0
        for holder in [each for each, beat in self._beats.items() if beat is None]:
            if self._silence[holder] > _FORGET_SECONDS:
                del self._beats[holder], self._silence[holder]

    def missed(self) -> None:
        """A look failed."""
        self._looked_at = None
        self._silence = dict.fromkeys(self._silence, 0.0)

    def is_gone(self, holder: UUID) -> bool:
        """Whether the holder has been silent for long enough; watches one that is new."""
        if holder not in self._beats:
            self._beats[holder] = None
            self._silence[holder] = 0.0
        return self._silence[holder] >= SILENT_SECONDS


class Presence:
    """Beats once a second, and observes the others by the same statement."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.observer = Observer()
        self._clock: tuple[datetime, float] | None = None
        self._answers = asyncio.Event()

    @property
    def answers(self) -> bool:
        """Whether the ledger answered last time."""
        return self._answers.is_set()

    async def until_answers(self) -> None:
        """Returns when the ledger answers, as far as is known."""
        if not self._answers.is_set():
            await self._answers.wait()

    async def enter(self) -> None:
        """Have the first beat written, however long the ledger is away."""
        while True:
            if await self._beat():
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            answered = await self._beat()
            await asyncio.sleep(BEAT_SECONDS if answered else RETRY_SECONDS)

    def is_gone(self, holder: UUID) -> bool:
        """Whether a holder is gone, as far as this process saw it itself."""
        return self.observer.is_gone(holder)

    def now(self) -> datetime | None:
        """About what the ledger's clock shows; None before the first beat."""
        if self._clock is None:
            return None
        shown, at = self._clock
        return shown + timedelta(seconds=time.monotonic() - at)

    async def _beat(self) -> bool:
        begun = time.monotonic()
        try:
            pulse = await self._ledger.beat()
        except LedgerUnavailable as error:
            if self.answers:
                log.warning("ledger_away", error=error)
            self._answers.clear()
            self.observer.missed()
            return False
        if not self.answers:
            log.info("ledger_answers")
        self._answers.set()
        self._clock = (pulse.now, begun)
        self.observer.saw(pulse.beats, begun)
        return True
