"""Looks for what became of runs, while anybody listens, and for what people want of deliveries."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog
from mirsal_runtime import metrics
from mirsal_runtime.complaints import Complaint

from webhook_worker.store import StoreUnavailable, WebhookStore

PAUSE_SECONDS: Final = 0.5
IDLE_SECONDS: Final = 1.0
BURY_SECONDS: Final = 2.0
FORGET_SECONDS: Final = 600.0

log = structlog.get_logger(__name__)


class Looker:
    """Several share the work: one looks at a time, the next goes on where it was.

    `wake` is called when something has become due.
    """

    def __init__(self, store: WebhookStore, wake: Callable[[], None], keep: timedelta) -> None:
        self._store = store
        self._wake = wake
        self._keep = keep
        self._waits = Complaint("looks_wait")
        self._bury_at = 0.0

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                pause = await self.look()
            except StoreUnavailable as error:
                self._waits.say(error=error)
                pause = IDLE_SECONDS
            await asyncio.sleep(pause)

    async def look(self) -> float:
        """One look; seconds until the next."""
        if await self._store.grant_wishes():
            self._wake()
        if time.monotonic() > self._bury_at:
            await self._store.bury()
            metrics.WEBHOOKS_LATE.set(await self._store.read_lateness())
            self._bury_at = time.monotonic() + BURY_SECONDS
        glance = await self._store.look()
        if glance is None or not glance.is_listening:
            return IDLE_SECONDS
        if glance.added:
            self._wake()
        return 0.0 if glance.is_behind else PAUSE_SECONDS

    async def keep_small(self) -> None:
        """Forget what was over long ago, until cancelled."""
        while True:
            try:
                has_more = await self._store.forget(self._keep)
            except StoreUnavailable as error:
                has_more = False
                self._waits.say(error=error)
            await asyncio.sleep(1.0 if has_more else FORGET_SECONDS)
