"""The name of every metric, in one place; the objects are in `mirsal_runtime.metrics`."""

from typing import Literal, TypeAlias

MetricName: TypeAlias = Literal[
    # What the product promises, under these exact names.
    "automation_executions_total",
    "automation_execution_duration_seconds",
    "automation_queue_size",
    # The gateway.
    "mirsal_request_seconds",
    "mirsal_requests_shed_total",
    "mirsal_rate_limiter_alone",
    "mirsal_key_set_failures_total",
    # Consumption.
    "mirsal_consumer_lag_records",
    "mirsal_records_open",
    "mirsal_batch_size",
    "mirsal_dead_letters_total",
    # The orchestrator.
    "mirsal_decision_seconds",
    "mirsal_timers_due",
    "mirsal_timers_late_seconds",
    "mirsal_runs_swept_total",
    # Connectors.
    "mirsal_attempts_in_flight",
    "mirsal_attempts_set_aside",
    "mirsal_attempt_outcomes_total",
    "mirsal_attempt_seconds",
    "mirsal_ledger_seconds",
    # The process.
    "mirsal_loop_lag_seconds",
]
