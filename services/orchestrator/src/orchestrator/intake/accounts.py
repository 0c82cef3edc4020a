"""What is counted and logged of a run, once it is written."""

import structlog
from mirsal_runtime import metrics
from mirsal_runtime.telemetry import BurstLog, exemplar_of, pseudonyms, trace_id_of

from orchestrator.intake.resting import RESTING
from orchestrator.store.buckets import COUNTED
from orchestrator.store.runs import RunWrite

log = structlog.get_logger(__name__)
successes = BurstLog(log)


def account_for(write: RunWrite) -> None:
    """Count executions that reached a status which counts; log that the run ended, or rests."""
    request, state = write.run.request, write.run.state
    workflow_id = metrics.WORKFLOW(request.workflow_id)
    for row in write.rows:
        if row.status in COUNTED and not row.is_late:
            kind = row.connector_type
            metrics.child_of(metrics.EXECUTIONS, kind, row.status, workflow_id).inc()
            if row.duration_ms is not None:
                metrics.child_of(metrics.EXECUTION_SECONDS, kind, workflow_id).observe(
                    row.duration_ms / 1000, exemplar_of(write.run.traceparent)
                )
    has_news = any(not row.is_late for row in write.rows)
    if has_news and (state.is_final or state.status in RESTING):
        reason = state.reason
        workspace = metrics.WORKSPACE(request.workspace)
        metrics.child_of(metrics.RUNS_ENDED, state.status, workspace).inc()
        (successes if state.status == "succeeded" else log).info(
            "run_ended" if state.is_final else "run_rests",
            status=state.status,
            code=None if reason is None else reason["code"],
            run_id=request.run_id,
            workspace=request.workspace,
            workflow_id=request.workflow_id,
            lead=pseudonyms.of_lead(request.workspace, request.lead_id),
            trace_id=trace_id_of(write.run.traceparent),
        )
