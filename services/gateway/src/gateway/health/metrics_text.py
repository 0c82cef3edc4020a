"""The product's three metrics and the number of dead letters, as a registry. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mirsal_runtime.label_bounds import LabelBound
from mirsal_runtime.metrics import EXECUTION_BOUNDS
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from gateway.health.store import Total

_BOUNDS = (*EXECUTION_BOUNDS, float("inf"))


def collect_metrics(
    totals: Sequence[Total],
    queue_size: int | None,
    letters: Mapping[str, int] | None,
    bound: LabelBound,
) -> CollectorRegistry:
    """The metrics; without a queue size or dead letters where those are not known.

    `bound` says which workflows have series of their own. Those with the most executions are
    asked for first, so that they have them where there are too many.
    """
    counts: Counter[str] = Counter()
    for total in totals:
        counts[total.workflow_id] += total.executions
    shown = {workflow_id: bound(workflow_id) for workflow_id, _ in counts.most_common()}
    bounded = [total._replace(workflow_id=shown[total.workflow_id]) for total in totals]
    registry = CollectorRegistry()
    registry.register(_Collected([*_families(bounded, queue_size), *_letters(letters)]))
    return registry


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


def _letters(letters: Mapping[str, int] | None) -> Iterator[Metric]:
    if letters is None:
        return
    family = GaugeMetricFamily(
        "mirsal_dead_letters_waiting",
        "Messages that nobody could deal with, and nobody has replayed.",
        labels=("connector_type",),
    )
    for connector, count in sorted(letters.items()):
        family.add_metric((connector,), count)
    yield family


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
