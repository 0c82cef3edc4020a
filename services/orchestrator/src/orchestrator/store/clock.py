"""PostgreSQL's clock, between two readings carried on by this process's monotonic one."""

import time
from datetime import datetime, timedelta

FRESH_SECONDS = 5.0


class DatabaseClock:
    """All orchestrators and ledgers go by this clock, whatever a machine's own says."""

    def __init__(self) -> None:
        self._read_at: datetime | None = None
        self._monotonic = 0.0

    def set(self, now: datetime) -> None:
        """Take a reading, just made."""
        self._read_at = now
        self._monotonic = time.monotonic()

    @property
    def is_fresh(self) -> bool:
        """Whether the last reading is young enough not to have drifted."""
        return self._read_at is not None and time.monotonic() - self._monotonic < FRESH_SECONDS

    def now(self) -> datetime:
        """The time. Raises `ValueError` before the first reading."""
        if self._read_at is None:
            raise ValueError("the database's clock was never read")
        return self._read_at + timedelta(seconds=time.monotonic() - self._monotonic)
