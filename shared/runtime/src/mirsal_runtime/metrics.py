"""The metrics that processes share, as prometheus_client objects of one registry.

How they are written for Prometheus is in `mirsal_runtime.exposition`.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase, disable_created_metrics

from mirsal_runtime.label_bounds import LabelBound
from mirsal_runtime.metric_names import OWNERS, MetricName, Part

disable_created_metrics()  # type: ignore[no-untyped-call] # prometheus_client has no types here

REGISTRY = CollectorRegistry()
COLLECTORS: dict[MetricName, MetricWrapperBase] = {}
WORKFLOW = LabelBound(500)
"""Bounds the label `workflow_id`; the number is a setting."""
WORKSPACE = LabelBound(100)
"""Bounds the label `workspace`; the number is a setting."""

CollectorT = TypeVar("CollectorT", Counter, Gauge, Histogram)

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
EXECUTION_BOUNDS = _SECONDS
"""The upper bounds, in seconds, of the executions' histogram."""
_SHORT_SECONDS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 4.0)
_COUNTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def _kept(name: MetricName, collector: CollectorT) -> CollectorT:
    COLLECTORS[name] = collector
    return collector


def _counter(name: MetricName, text: str, labels: Sequence[str]) -> Counter:
    return _kept(name, Counter(name, text, labels, registry=REGISTRY))


def _gauge(name: MetricName, text: str, labels: Sequence[str] = ()) -> Gauge:
    return _kept(name, Gauge(name, text, labels, registry=REGISTRY))


def _histogram(
    name: MetricName, text: str, labels: Sequence[str], buckets: Sequence[float] = _SECONDS
) -> Histogram:
    return _kept(name, Histogram(name, text, labels, registry=REGISTRY, buckets=buckets))


EXECUTIONS = _counter(
    "automation_executions_total",
    "Executions that reached a final status.",
    ("connector_type", "status", "workflow_id"),
)
EXECUTION_SECONDS = _histogram(
    "automation_execution_duration_seconds",
    "From an execution's start to its end.",
    ("connector_type", "workflow_id"),
)
QUEUE_SIZE = _gauge("automation_queue_size", "Commands and requests that nobody has begun.")

REQUEST_SECONDS = _histogram(
    "mirsal_request_seconds", "Calls of the gateway.", ("route", "method", "status")
)
REQUESTS_SHED = _counter(
    "mirsal_requests_shed_total", "Calls answered 503 because too many were under way.", ()
)
RUNS_REFUSED = _counter(
    "mirsal_runs_refused_total",
    "Runs that were not started because the workspace had too many under way.",
    ("workspace",),
)
RATE_LIMITER_ALONE = _gauge(
    "mirsal_rate_limiter_alone", "1 while this gateway counts calls without Valkey."
)
KEY_SET_FAILURES = _counter(
    "mirsal_key_set_failures_total", "Fetches of the token issuer's keys that gave none.", ()
)

CONSUMER_LAG = _gauge(
    "mirsal_consumer_lag_records", "Records of the topic behind its end.", ("topic",)
)
CONSUMER_OLDEST = _gauge(
    "mirsal_consumer_oldest_seconds", "Age of the oldest record read and not done.", ("topic",)
)
RECORDS_OPEN = _gauge(
    "mirsal_records_open", "Records fetched and not yet below the committed offset.", ("topic",)
)
RECORDS_READ = _counter("mirsal_records_read_total", "Records read.", ("topic",))
BATCH_SIZE = _histogram(
    "mirsal_batch_size", "Items that shared one transaction or produce.", ("stage",), _COUNTS
)
DEAD_LETTERS = _counter(
    "mirsal_dead_letters_total", "Records that nobody could read.", ("topic", "reason")
)
DEAD_LETTERS_WAITING = _gauge(
    "mirsal_dead_letters_waiting", "Dead letters that nobody has replayed.", ("connector_type",)
)
DECISION_SECONDS = _histogram(
    "mirsal_decision_seconds", "One batch's decisions.", (), _SHORT_SECONDS
)
FIRST_COMMAND_SECONDS = _histogram(
    "mirsal_first_command_seconds",
    "From the call that asked for a run until Kafka has its first commands.",
    (),
)
RUNS_ENDED = _counter(
    "mirsal_runs_ended_total", "Runs that ended, or came to rest.", ("status", "workspace")
)
RUNS_RESTING = _gauge("mirsal_runs_resting", "Runs that wait for a person now.", ("status",))
RUNS_REMOVED = _counter(
    "mirsal_runs_removed_total", "Runs that were removed, long after their end.", ()
)
RUNS_STUCK = _gauge("mirsal_runs_stuck", "Runs that the last sweep found overdue.")
RUNS_SWEPT = _counter(
    "mirsal_runs_swept_total", "Overdue runs that the sweeper had woken again.", ()
)
TIMERS_DUE = _gauge("mirsal_timers_due", "Runs whose wake-up time has come.")
TIMERS_LATE = _gauge("mirsal_timers_late_seconds", "How late the oldest due wake-up is.")
TIMERS_LEASED = _gauge("mirsal_timers_leased", "Due wake-ups that a poller holds a lease of.")
ATTEMPTS_IN_FLIGHT = _gauge(
    "mirsal_attempts_in_flight", "Attempts that hold a slot.", ("connector_type",)
)
ATTEMPTS_SET_ASIDE = _gauge(
    "mirsal_attempts_set_aside", "Commands that another holder works on.", ("connector_type",)
)
ATTEMPT_OUTCOMES = _counter(
    "mirsal_attempt_outcomes_total",
    "Attempts by their end: succeeded, or the kind of the error.",
    ("connector_type", "outcome", "workspace"),
)
ATTEMPT_SECONDS = _histogram(
    "mirsal_attempt_seconds", "From an attempt's start to its outcome.", ("connector_type",)
)
CLAIMS_TAKEN_OVER = _counter(
    "mirsal_claims_taken_over_total", "Claims of processes that were gone.", ("connector_type",)
)
LEDGER_SECONDS = _histogram(
    "mirsal_ledger_seconds", "One ledger statement.", ("operation",), _SHORT_SECONDS
)
WEBHOOKS = _counter(
    "mirsal_webhooks_total", "Calls of customers' endpoints.", ("outcome", "workspace")
)
WEBHOOKS_LATE = _gauge(
    "mirsal_webhooks_late_seconds",
    "How far looks are behind, or how long the oldest due delivery has waited for nobody.",
)
PROVIDER_THROTTLED = _counter(
    "mirsal_provider_throttled_total",
    "Attempts that a provider, or a limit kept for it, put off.",
    ("connector_type", "code", "workspace"),
)
PROVIDER_BUDGET = _gauge(
    "mirsal_provider_budget_left",
    "Calls left of the provider's quota in the running minute.",
    ("connector_type", "budget"),
)
SANDBOX_OUTCOMES = _counter(
    "mirsal_sandbox_outcomes_total",
    "Runs of customers' code.",
    ("language", "outcome", "workspace"),
)
POOL_CONNECTIONS = _gauge(
    "mirsal_pool_connections", "Connections to PostgreSQL: most, used and idle.", ("state",)
)
LOOP_LAG = _gauge("mirsal_loop_lag_seconds", "How late the event loop runs what is due.")
SPANS_EXPORTED = _counter("mirsal_spans_exported_total", "Spans that the collector took.", ())
SPANS_DROPPED = _counter(
    "mirsal_spans_dropped_total", "Spans given up: queue full, or refused.", ("reason",)
)


@lru_cache(maxsize=4_096)
def child_of(collector: CollectorT, *labels: str) -> CollectorT:
    """`collector.labels(*labels)`, for what is counted with every run.

    prometheus_client takes a lock and makes texts of the values each time.
    """
    return collector.labels(*labels)


def show_only(part: Part) -> None:
    """Leave out what other parts measure: their 0 here would be read as a fact."""
    for name, collector in COLLECTORS.items():
        if part not in OWNERS[name]:
            REGISTRY.unregister(collector)


def bound_labels(*, workflows: int, workspaces: int) -> None:
    """How many values the labels `workflow_id` and `workspace` may take."""
    WORKFLOW.most, WORKSPACE.most = workflows, workspaces
