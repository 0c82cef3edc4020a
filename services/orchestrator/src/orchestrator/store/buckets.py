"""In which bucket of the durations' histogram an execution counts."""

from bisect import bisect_left
from math import inf

from mirsal_runtime.metrics import EXECUTION_BOUNDS

from orchestrator.decide import ExecutionRow

BOUNDS: tuple[float, ...] = (*EXECUTION_BOUNDS, inf)
NO_TIME = 0.0
COUNTED = frozenset({"succeeded", "failed", "skipped", "cancelled", "unconfirmed"})
"""An unconfirmed execution counts as such, and again as what evidence makes of it."""


def bucket_of(row: ExecutionRow) -> float | None:
    """The smallest bound that the duration does not pass; None for what does not count yet."""
    if row.status not in COUNTED or row.is_late:
        return None
    if row.duration_ms is None:
        return NO_TIME
    return BOUNDS[bisect_left(BOUNDS, row.duration_ms / 1000)]
