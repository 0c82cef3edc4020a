"""The name of every metric, in one place, and whose it is; the objects are in
`mirsal_runtime.metrics`, what they say in docs/TELEMETRY.md."""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

MetricName: TypeAlias = Literal[
    # What the product promises, under these exact names.
    "automation_executions_total",
    "automation_execution_duration_seconds",
    "automation_queue_size",
    # The gateway.
    "mirsal_request_seconds",
    "mirsal_requests_shed_total",
    "mirsal_runs_refused_total",
    "mirsal_rate_limiter_alone",
    "mirsal_key_set_failures_total",
    # Consumption.
    "mirsal_consumer_lag_records",
    "mirsal_consumer_oldest_seconds",
    "mirsal_records_open",
    "mirsal_records_read_total",
    "mirsal_batch_size",
    "mirsal_dead_letters_total",
    "mirsal_dead_letters_waiting",
    # The orchestrator.
    "mirsal_decision_seconds",
    "mirsal_first_command_seconds",
    "mirsal_runs_ended_total",
    "mirsal_runs_removed_total",
    "mirsal_runs_resting",
    "mirsal_runs_stuck",
    "mirsal_runs_swept_total",
    "mirsal_timers_due",
    "mirsal_timers_late_seconds",
    "mirsal_timers_leased",
    # Connectors.
    "mirsal_attempts_in_flight",
    "mirsal_attempts_set_aside",
    "mirsal_attempt_outcomes_total",
    "mirsal_attempt_seconds",
    "mirsal_claims_taken_over_total",
    "mirsal_ledger_seconds",
    "mirsal_provider_throttled_total",
    "mirsal_provider_budget_left",
    "mirsal_sandbox_outcomes_total",
    # Webhooks.
    "mirsal_webhooks_total",
    "mirsal_webhooks_late_seconds",
    # The process.
    "mirsal_pool_connections",
    "mirsal_loop_lag_seconds",
    "mirsal_spans_exported_total",
    "mirsal_spans_dropped_total",
]

Part: TypeAlias = Literal["gateway", "orchestrator", "connector", "webhooks"]
"""What a process is; each connector's process is a `connector`."""

_CONSUMERS: Final[frozenset[Part]] = frozenset({"orchestrator", "connector"})
_BATCHERS: Final[frozenset[Part]] = _CONSUMERS | {"gateway"}
_EVERYWHERE: Final[frozenset[Part]] = _BATCHERS | {"webhooks"}
_GATEWAY: Final[frozenset[Part]] = frozenset({"gateway"})
_ORCHESTRATOR: Final[frozenset[Part]] = frozenset({"orchestrator"})
_CONNECTOR: Final[frozenset[Part]] = frozenset({"connector"})
_WEBHOOKS: Final[frozenset[Part]] = frozenset({"webhooks"})

OWNERS: Final[Mapping[MetricName, frozenset[Part]]] = {
    "automation_executions_total": _ORCHESTRATOR,
    "automation_execution_duration_seconds": _ORCHESTRATOR,
    "automation_queue_size": _ORCHESTRATOR,
    "mirsal_request_seconds": _GATEWAY,
    "mirsal_requests_shed_total": _GATEWAY,
    "mirsal_runs_refused_total": _GATEWAY,
    "mirsal_rate_limiter_alone": _GATEWAY,
    "mirsal_key_set_failures_total": _GATEWAY,
    "mirsal_consumer_lag_records": _CONSUMERS,
    "mirsal_consumer_oldest_seconds": _CONSUMERS,
    "mirsal_records_open": _CONNECTOR,
    "mirsal_records_read_total": _CONSUMERS,
    "mirsal_batch_size": _BATCHERS,
    "mirsal_dead_letters_total": _CONSUMERS,
    "mirsal_dead_letters_waiting": _ORCHESTRATOR,
    "mirsal_decision_seconds": _ORCHESTRATOR,
    "mirsal_first_command_seconds": _ORCHESTRATOR,
    "mirsal_runs_ended_total": _ORCHESTRATOR,
    "mirsal_runs_removed_total": _ORCHESTRATOR,
    "mirsal_runs_resting": _ORCHESTRATOR,
    "mirsal_runs_stuck": _ORCHESTRATOR,
    "mirsal_runs_swept_total": _ORCHESTRATOR,
    "mirsal_timers_due": _ORCHESTRATOR,
    "mirsal_timers_late_seconds": _ORCHESTRATOR,
    "mirsal_timers_leased": _ORCHESTRATOR,
    "mirsal_attempts_in_flight": _CONNECTOR,
    "mirsal_attempts_set_aside": _CONNECTOR,
    "mirsal_attempt_outcomes_total": _CONNECTOR,
    "mirsal_attempt_seconds": _CONNECTOR,
    "mirsal_claims_taken_over_total": _CONNECTOR,
    "mirsal_ledger_seconds": _CONNECTOR,
    "mirsal_provider_throttled_total": _CONNECTOR,
    "mirsal_provider_budget_left": _CONNECTOR,
    "mirsal_sandbox_outcomes_total": _CONNECTOR,
    "mirsal_webhooks_total": _WEBHOOKS,
    "mirsal_webhooks_late_seconds": _WEBHOOKS,
    "mirsal_pool_connections": _EVERYWHERE,
    "mirsal_loop_lag_seconds": _EVERYWHERE,
    "mirsal_spans_exported_total": _EVERYWHERE,
    "mirsal_spans_dropped_total": _EVERYWHERE,
}
"""Which processes have a metric on their own `/metrics`; the others do not show it at all."""


def part_of(service: str) -> Part:
    """What a service's processes are."""
    match service:
        case "gateway" | "orchestrator":
            return service
        case "webhook-worker":
            return "webhooks"
        case _:
            return "connector"
