"""Log lines of what fails again and again: each at most once every few seconds."""

import time
from collections.abc import Callable

import structlog

TOLD_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Complaint:
    """One line of the log, held back while it was written less than `seconds` ago.

    The next line says how many were left out.
    """

    def __init__(
        self,
        event: str,
        *,
        seconds: float = TOLD_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._event = event
        self._seconds = seconds
        self._clock = clock
        self._said_at: float | None = None
        self._left_out = 0

    def say(self, **fields: object) -> None:
        """Write the line as a warning, if it is time."""
        now = self._clock()
        if self._said_at is not None and now - self._said_at < self._seconds:
            self._left_out += 1
            return
        log.warning(self._event, **fields, left_out=self._left_out)
        self._said_at, self._left_out = now, 0
