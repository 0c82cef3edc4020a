"""The metrics that processes share, as prometheus_client objects of one registry."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics import disable_created_metrics

from mirsal_runtime.metric_names import MetricName

disable_created_metrics()  # type: ignore[no-untyped-call] # prometheus_client has no types here

REGISTRY = CollectorRegistry()
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
EXECUTION_BOUNDS = _SECONDS
"""The upper bounds, in seconds, of the executions' histogram."""
_SHORT_SECONDS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 4.0)
_COUNTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def _counter(name: MetricName, text: str, labels: Sequence[str]) -> Counter:
    return Counter(name, text, labels, registry=REGISTRY)


def _gauge(name: MetricName, text: str, labels: Sequence[str] = ()) -> Gauge:
    return Gauge(name, text, labels, registry=REGISTRY)


def _histogram(
    name: MetricName, text: str, labels: Sequence[str], buckets: Sequence[float] = _SECONDS
) -> Histogram:
    return Histogram(name, text, labels, registry=REGISTRY, buckets=buckets)


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
RATE_LIMITER_ALONE = _gauge(
    "mirsal_rate_limiter_alone", "1 while this gateway counts calls without Valkey."
)
KEY_SET_FAILURES = _counter(
    "mirsal_key_set_failures_total", "Fetches of the token issuer's keys that gave none.", ()
)

CONSUMER_LAG = _gauge(
    "mirsal_consumer_lag_records", "Records of the topic behind its end.", ("topic",)
)
RECORDS_OPEN = _gauge(
    "mirsal_records_open", "Records fetched and not yet below the committed offset.", ("topic",)
)
BATCH_SIZE = _histogram(
    "mirsal_batch_size", "Items that shared one transaction or produce.", ("stage",), _COUNTS
)
DEAD_LETTERS = _counter(
    "mirsal_dead_letters_total", "Records that nobody could read.", ("topic", "reason")
)
DECISION_SECONDS = _histogram(
    "mirsal_decision_seconds", "One batch's decisions.", (), _SHORT_SECONDS
)
TIMERS_DUE = _gauge("mirsal_timers_due", "Runs whose wake-up time has come.")
RUNS_SWEPT = _counter(
    "mirsal_runs_swept_total", "Overdue runs that the sweeper had woken again.", ()
)
TIMERS_LATE = _gauge("mirsal_timers_late_seconds", "How late the oldest due wake-up is.")
ATTEMPTS_IN_FLIGHT = _gauge(
    "mirsal_attempts_in_flight", "Attempts that hold a slot.", ("connector_type",)
)
ATTEMPTS_SET_ASIDE = _gauge(
    "mirsal_attempts_set_aside", "Commands that another holder works on.", ("connector_type",)
)
ATTEMPT_OUTCOMES = _counter(
    "mirsal_attempt_outcomes_total", "Attempts by their end.", ("connector_type", "outcome")
)
ATTEMPT_SECONDS = _histogram(
    "mirsal_attempt_seconds", "From an attempt's start to its outcome.", ("connector_type",)
)
LEDGER_SECONDS = _histogram(
    "mirsal_ledger_seconds", "One ledger statement.", ("operation",), _SHORT_SECONDS
)
LOOP_LAG = _gauge("mirsal_loop_lag_seconds", "How late the event loop runs what is due.")


def metrics_text() -> bytes:
    """All metrics in Prometheus' text format (`CONTENT_TYPE`)."""
    return generate_latest(REGISTRY)
