"""The product's three metrics in Prometheus' text format. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from mirsal_runtime.metrics import EXECUTION_BOUNDS
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from gateway.health.store import Total

_BOUNDS = (*EXECUTION_BOUNDS, float("inf"))


def write_metrics(totals: Sequence[Total], queue_size: int | None) -> bytes:
    """The text; without a queue size where that is not known."""
    registry = CollectorRegistry()
    registry.register(_Collected([*_families(totals, queue_size)]))
    return generate_latest(registry)


class _Collected(Collector):
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _families(totals: Sequence[Total], queue_size: int | None) -> Iterator[Metric]:
    executions = CounterMetricFamily(
        "automation_executions_total",
        "Executions that reached a final status.",
        labels=("connector_type", "status", "workflow_id"),
    )
    counts: dict[tuple[str, str, str], int] = defaultdict(int)
    for total in totals:
        counts[total.connector_type, total.status, total.workflow_id] += total.executions
    for labels, count in sorted(counts.items()):
        executions.add_metric(labels, count)
    yield executions
    yield _durations(totals)
    if queue_size is not None:
        text = "Commands and requests that nobody has begun."
        yield GaugeMetricFamily("automation_queue_size", text, value=queue_size)


def _durations(totals: Sequence[Total]) -> Metric:
    family = HistogramMetricFamily(
        "automation_execution_duration_seconds",
        "From an execution's start to its end.",
        labels=("connector_type", "workflow_id"),
    )
    timed: dict[tuple[str, str], list[Total]] = defaultdict(list)
    for total in totals:
        if total.bucket > 0:
            timed[total.connector_type, total.workflow_id].append(total)
    for labels, group in sorted(timed.items()):
        buckets = [
            (_bound(bound), sum(each.executions for each in group if each.bucket <= bound))
            for bound in _BOUNDS
        ]
        family.add_metric(labels, buckets, sum(each.duration_seconds for each in group))
    return family


def _bound(bound: float) -> str:
    return "+Inf" if bound == float("inf") else str(bound)
