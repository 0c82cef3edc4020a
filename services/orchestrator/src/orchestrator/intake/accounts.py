"""What is counted and logged of a run, once it is written."""

import structlog
from mirsal_runtime import metrics
from mirsal_runtime.telemetry import trace_id_of

from orchestrator.store.buckets import COUNTED
from orchestrator.store.runs import RunWrite

log = structlog.get_logger(__name__)


def account_for(write: RunWrite) -> None:
    """Count the executions that reached a status which counts, and log the run's end."""
    request, state = write.run.request, write.run.state
    for row in write.rows:
        if row.status in COUNTED:
            metrics.EXECUTIONS.labels(row.connector_type, row.status, request.workflow_id).inc()
            if row.duration_ms is not None:
                metrics.EXECUTION_SECONDS.labels(row.connector_type, request.workflow_id).observe(
                    row.duration_ms / 1000
                )
    if state.is_final:
        log.info(
            "run_ended",
            status=state.status,
            code=None if state.error is None else state.error["code"],
            run_id=request.run_id,
            workspace=request.workspace,
            workflow_id=request.workflow_id,
            lead_id=request.lead_id,
            trace_id=trace_id_of(write.run.traceparent),
        )
