"""In which statuses a run waits for a person."""

from typing import Final

RESTING: Final = frozenset({"paused", "unconfirmed"})
