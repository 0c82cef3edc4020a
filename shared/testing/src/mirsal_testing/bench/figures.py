"""Times and CPU seconds become the figures that are shown; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel


class Spread(BaseModel):
    """How times are distributed, in milliseconds."""

    p50: float
    p95: float
    p99: float
    max: float


class ProcessUse(BaseModel):
    """What the processes of one name used during a measurement: CPU seconds, resident bytes."""

    cpu_seconds: float
    memory_bytes: int


class Figures(BaseModel):
    """One scenario on one target.

    `to_end` runs from when the POST was due to the arrival of the run's second message, or to
    the end of a run without messages; `post` to the complete answer of the POST. `processes`
    are those of the platform; `beside` are load generator and simulator, whose CPU time is not
    part of `cpu_ms_per_run`.
    """

    target: str
    scenario: str
    runs: int
    seconds: float
    runs_per_second: float
    to_end: Spread
    post: Spread
    cpu_ms_per_run: float
    processes: Mapping[str, ProcessUse]
    beside: Mapping[str, ProcessUse]
    others_cpu_share: float


def spread_of(seconds: Sequence[float]) -> Spread:
    """Percentiles of times in seconds. Raises `ValueError` without any."""
    if not seconds:
        raise ValueError("no times to take percentiles of")
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 2)

    return Spread(p50=at(0.50), p95=at(0.95), p99=at(0.99), max=at(1.0))


def middle(of: Sequence[Figures]) -> Figures:
    """The measurement with the median rate."""
    return sorted(of, key=lambda figures: figures.runs_per_second)[len(of) // 2]
