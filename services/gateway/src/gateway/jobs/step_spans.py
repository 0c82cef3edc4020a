"""The spans of a job's steps: below the call that made the job, linked to by what they start."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from mirsal_runtime import telemetry
from mirsal_runtime.span_attributes import WORKFLOW, WORKSPACE

from gateway.jobs.store import Job, Step

JOB: Final = "mirsal.job_id"
DONE: Final = "mirsal.job_done"
FAILED: Final = "mirsal.job_failed"


@contextmanager
def begin_step(job: Job) -> Iterator[telemetry.Span]:
    """The span while a step is taken; log lines within carry its trace."""
    attributes: dict[str, telemetry.SpanValue] = {WORKSPACE: job.workspace, JOB: job.id}
    if job.workflow_id is not None:
        attributes[WORKFLOW] = job.workflow_id
    with telemetry.span(f"job {job.kind}", parent=job.traceparent, attributes=attributes) as span:
        token = telemetry.current.set(span.traceparent)
        try:
            yield span
        finally:
            telemetry.current.reset(token)


def describe_step(span: telemetry.Span, step: Step) -> None:
    """Say how many of its leads or letters the step dealt with, and how many of them failed."""
    span.set(DONE, step.done)
    span.set(FAILED, step.failed)
