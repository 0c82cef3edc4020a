"""Judges traces: whether a run's is whole, from the call to the provider."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from mirsal_testing.otlp import OtlpReceiver, Seen
    from mirsal_testing.storm.records import Findings

WANTED = ("create executions.requested.v1", "process executions.requested.v1", "run.started")


def faults_of_trace(
    spans: Sequence[Seen], run_id: str, arrived: Collection[str] = ()
) -> Iterator[str]:
    """What a run's trace lacks; nothing for one that is whole.

    Whole is: it begins at the gateway, every span's parent is there, the run was begun by the
    orchestrator, each attempt that a status tells of is there, and so is the call that brought
    each of the executions in `arrived` to a provider. A span that was sent twice, since its process
    was killed between the collector's answer and its note of it, is one: it has one id.
    """
    ids = {span.span_id for span in spans}
    roots = {span.span_id: span for span in spans if not span.parent_id}
    if [span.service for span in roots.values()] != ["gateway"]:
        yield f"roots: {[(span.service, span.name, span.span_id) for span in roots.values()]}"
    for span in spans:
        if span.parent_id and span.parent_id not in ids:
            yield f"{span.service} {span.name}: its parent {span.parent_id} is not there"
    of_run = [span for span in spans if span.attributes.get("mirsal.run_id") == run_id]
    names = {span.name for span in of_run}
    for name in WANTED:
        if name not in names:
            yield f"{name} is not there"
    attempts = [span for span in of_run if span.name.startswith("process node.commands.")]
    made = {_attempt(span) for span in attempts}
    for span in of_run:
        if span.name == "process node.statuses.v1" and _attempt(span) not in made:
            yield f"no attempt {_attempt(span)}"
    calling = {span.parent_id for span in spans if span.kind == "client"}
    called = {
        span.attributes.get("mirsal.execution_id") for span in attempts if span.span_id in calling
    }
    for execution in arrived:
        if execution not in called:
            yield f"nobody called a provider for {execution}, and it came"


def faults_of_traces(traces: Mapping[str, Sequence[Seen]], found: Findings) -> list[str]:
    """What the traces of all runs that were found lack."""
    arrived: dict[str, list[str]] = {run_id: [] for run_id in found.runs}
    for row in found.executions:
        if found.messages.get(row["execution_id"]):
            arrived[row["run_id"]].append(row["execution_id"])
    return [
        f"run {run_id} (trace {found.traces[run_id]}): {fault}"
        for run_id in found.runs
        for fault in faults_of_trace(traces.get(found.traces[run_id], ()), run_id, arrived[run_id])
    ]


async def judge_traces(otlp: OtlpReceiver, found: Findings, *, seconds: float = 15) -> list[str]:
    """The same, of what has come to a receiver; what is still on its way has so long."""
    until = time.monotonic() + seconds
    while True:
        faults = faults_of_traces(otlp.traces(), found)
        if not faults or time.monotonic() > until:
            return faults
        await asyncio.sleep(0.5)


def _attempt(span: Seen) -> tuple[object, object]:
    return span.attributes.get("mirsal.execution_id"), span.attributes.get("mirsal.attempt")
