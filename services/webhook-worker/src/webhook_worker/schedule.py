"""When a failed delivery is tried again. Pure but for the chance in it."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

CHANCE: Final = 0.2
"""So that what failed together is not tried again together."""
LONGEST_WAIT: Final = timedelta(hours=24)
"""However long `Retry-After` says."""


def next_delay(
    tries: int, retry_seconds: Sequence[float], retry_after: timedelta | None
) -> timedelta | None:
    """How long after the `tries`th failure; None where that was the last try."""
    if tries > len(retry_seconds):
        return None
    wait = retry_seconds[tries - 1] * random.uniform(1 - CHANCE, 1 + CHANCE)  # noqa: S311 - no secret
    return max(timedelta(seconds=wait), retry_after or timedelta(0))


def read_retry_after(text: str | None, now: datetime) -> timedelta | None:
    """What the header `Retry-After` says, in seconds or as a date; None if it says nothing."""
    if text is None:
        return None
    try:
        if text.strip().isascii() and text.strip().isdecimal():
            wait = timedelta(seconds=min(int(text), LONGEST_WAIT.total_seconds()))
        else:
            until = parsedate_to_datetime(text)
            wait = (until if until.tzinfo else until.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError):
        return None
    return min(max(wait, timedelta(0)), LONGEST_WAIT)
