"""The span of an attempt: from its command to what became of it."""

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Final

from mirsal_contracts.topics import COMMANDS

from mirsal_runtime import telemetry
from mirsal_runtime.span_attributes import (
    ATTEMPT,
    CONNECTOR,
    EXECUTION,
    LEAD,
    NODE,
    OUTCOME,
    RUN,
    WORKFLOW,
    WORKSPACE,
    messaging,
)
from mirsal_runtime.statuses import Ending
from mirsal_runtime.trace_context import attempt_context, sampled
from mirsal_runtime.work import Work

CLAIM_LOST: Final = "claim_lost"


def begin_attempt(work: Work, topic: str) -> AbstractContextManager[telemetry.Span]:
    """The span while the attempt is made, if the command's trace is recorded.

    Log lines of the task that makes it carry its trace.
    """
    parent = work.traceparent
    if not belong_to_attempt(work):
        return telemetry.pass_on(parent)
    context = work.context
    telemetry.current.set(context)
    return telemetry.span(
        f"process {topic}",
        parent=parent,
        kind="consumer",
        attributes=_attributes(work, topic),
        context=context,
    )


def belong_to_attempt(work: Work) -> bool:
    """Have what is told of a command belong to its attempt, whoever made that; whether its trace
    is recorded."""
    parent = work.traceparent
    if not telemetry.is_recorded(parent) or not telemetry.is_traceparent(parent):
        return False
    work.context = attempt_context(parent, work.command.command_id)
    return True


def end_attempt(
    span: telemetry.Span, work: Work, topic: str, ending: Ending, started_at: datetime
) -> None:
    """Say how it ended. One that failed in a trace that is not sampled is recorded after all."""
    failed = ending.state != "succeeded"
    if span.is_recorded:
        span.set(OUTCOME, ending.label)
        if failed:
            span.fail(ending.code)
    elif failed and telemetry.is_tracing() and telemetry.is_traceparent(work.traceparent):
        parent = sampled(work.traceparent)
        work.context = attempt_context(parent, work.command.command_id)
        telemetry.note_span(
            f"process {topic}",
            context=work.context,
            parent=parent,
            kind="consumer",
            start_ns=int(started_at.timestamp() * 1e9),
            attributes={**_attributes(work, topic), OUTCOME: ending.label},
            error=ending.code,
        )


def lose_attempt(span: telemetry.Span) -> None:
    """Say that its claim was taken over before it could begin."""
    span.set(OUTCOME, "transient")
    span.fail(CLAIM_LOST)


def forget_attempt(span: telemetry.Span, work: Work) -> None:
    """There was no attempt: what is told of the command belongs to whoever asked for it."""
    span.forget()
    work.context = ""


def remember_attempt(work: Work, attempt: int) -> None:
    """Have what is remembered of a command belong to its attempt; where an earlier `attempt` was
    remembered in its place nobody else tells of its own."""
    if belong_to_attempt(work) and attempt != work.command.attempt:
        topic = COMMANDS[work.command.connector].name
        telemetry.note_span(
            f"process {topic}",
            context=work.context,
            parent=work.traceparent,
            kind="consumer",
            attributes={**_attributes(work, topic), OUTCOME: "remembered"},
        )


def _attributes(work: Work, topic: str) -> dict[str, telemetry.SpanValue]:
    command = work.command
    return {
        **messaging("process", topic),
        WORKSPACE: command.workspace,
        RUN: command.run_id,
        WORKFLOW: command.workflow_id,
        LEAD: telemetry.pseudonyms.of_lead(command.workspace, command.lead_id),
        EXECUTION: command.execution_id,
        NODE: command.node_id,
        ATTEMPT: command.attempt,
        CONNECTOR: command.connector,
    }
