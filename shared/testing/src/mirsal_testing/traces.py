"""Judges traces: whether a run's is whole, from the call to the provider."""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from mirsal_contracts.ids import command_id_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from mirsal_testing.otlp import OtlpReceiver, Seen
    from mirsal_testing.storm.records import Findings

WANTED = ("create executions.requested.v1", "process executions.requested.v1", "run.started")
ATTEMPT = "process node.commands."
STATUS = "process node.statuses.v1"
# Nobody waits with these for others: each attempt that called a provider has a call of its own.
ALONE = frozenset({"email", "whatsapp"})
META_SAID = re.compile(r"whatsapp_\d+")
MADE = frozenset({"succeeded", "failed", "unconfirmed"})
ENDED = frozenset({*MADE, "cancelled", "paused"})
_Attempt = tuple[Any, Any]


class Evidence(NamedTuple):
    """What others than traces say of a run: how it ended or rests, the newest attempt of each
    execution that was made, the executions that arrived at a provider, and the trace contexts
    that calls came with, by the ids of their commands."""

    status: str = ""
    attempts: Collection[_Attempt] = ()
    arrived: Collection[str] = ()
    calls: Sequence[tuple[str, str]] = ()


NOTHING = Evidence()


def faults_of_trace(
    spans: Sequence[Seen], run_id: str, evidence: Evidence = NOTHING
) -> Iterator[str]:
    """What a run's trace lacks; nothing for one that is whole.

    Whole is: it begins at the gateway, every span's parent is there, the run was begun by the
    orchestrator, and so are its attempts: each that a status or the evidence tells of is there,
    was decided upon if it ended, comes after the one before it, and has the calls that were made.
    A span that was sent twice, since its process was killed between the collector's answer and its
    note of it, is one: it has one id.
    """
    roots = {span.span_id: span for span in spans if not span.parent_id}
    if [span.service for span in roots.values()] != ["gateway"]:
        yield f"roots: {[(span.service, span.name, span.span_id) for span in roots.values()]}"
    yield from faults_of_parents(spans)
    of_run = [span for span in spans if span.attributes.get("mirsal.run_id") == run_id]
    names = {span.name for span in of_run}
    for name in WANTED:
        if name not in names:
            yield f"{name} is not there"
    told = {span.attributes.get("mirsal.run_status") for span in of_run}
    if evidence.status in ENDED - told:
        yield f"nobody tells that it is {evidence.status}"
    yield from _faults_of_attempts(of_run, evidence.attempts)
    yield from _faults_of_order(of_run)
    yield from _faults_of_calls(spans, of_run, evidence)


def faults_of_parents(spans: Sequence[Seen]) -> Iterator[str]:
    """The parents that are not there."""
    ids = {span.span_id for span in spans}
    for span in spans:
        if span.parent_id and span.parent_id not in ids:
            yield f"{span.service} {span.name}: its parent {span.parent_id} is not there"


def _faults_of_attempts(of_run: Sequence[Seen], wanted: Collection[_Attempt]) -> Iterator[str]:
    attempts = [span for span in of_run if span.name.startswith(ATTEMPT)]
    statuses = [span for span in of_run if span.name == STATUS]
    made = {_attempt(span) for span in attempts}
    for attempt in {*wanted, *map(_attempt, statuses)} - made:
        yield f"no attempt {attempt}"
    decided = {span.parent_id for span in statuses}
    for span in attempts:
        if "mirsal.outcome" in span.attributes and span.span_id not in decided:
            yield f"nobody decided upon the end of attempt {_attempt(span)}"


def _faults_of_order(of_run: Sequence[Seen]) -> Iterator[str]:
    """A later attempt was asked for by what links to the one before it."""
    spans = {span.span_id: span for span in of_run}
    attempts = [span for span in of_run if span.name.startswith(ATTEMPT)]
    ids = {_attempt(span): span for span in attempts}
    # One that was made twice was asked for twice.
    for span in attempts:
        execution, number = _attempt(span)
        earlier, asking = ids.get((execution, number - 1)), spans.get(span.parent_id)
        if earlier is None or asking is None:
            continue
        if (earlier.trace_id, earlier.span_id) not in asking.links:
            yield f"attempt {(execution, number)} does not come after the one before it"


def _faults_of_calls(
    spans: Sequence[Seen], of_run: Sequence[Seen], evidence: Evidence
) -> Iterator[str]:
    attempts = {span.span_id: span for span in of_run if span.name.startswith(ATTEMPT)}
    calls = {span.span_id: span for span in spans if span.kind == "client"}
    calling = {span.parent_id for span in calls.values()}
    for span in attempts.values():
        connector, outcome = (
            span.attributes.get(name) for name in ("mirsal.connector", "mirsal.outcome")
        )
        has_called = outcome == "succeeded" or META_SAID.fullmatch(span.error)
        if connector in ALONE and has_called and span.span_id not in calling:
            yield f"attempt {_attempt(span)} called nobody, and ended as {span.error or outcome}"
    called = {attempts[each].attributes["mirsal.execution_id"] for each in calling & {*attempts}}
    for execution in evidence.arrived:
        if execution not in called:
            yield f"nobody called a provider for {execution}, and it came"
    for command_id, context in evidence.calls:
        call = calls.get(context[36:52])
        attempt = None if call is None else attempts.get(call.parent_id)
        if attempt is None or command_id != command_id_of(*_attempt(attempt)):
            yield f"a call came for {command_id} with {context}, and is not there"


def faults_of_traces(traces: Mapping[str, Sequence[Seen]], found: Findings) -> list[str]:
    """What the traces of all runs that were found lack."""
    attempts: dict[str, list[_Attempt]] = defaultdict(list)
    arrived: dict[str, list[str]] = defaultdict(list)
    calls: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in found.executions:
        run_id, execution = row["run_id"], row["execution_id"]
        if row["status"] in MADE and row["attempt"]:
            attempts[run_id].append((execution, row["attempt"]))
        if found.messages.get(execution):
            arrived[run_id].append(execution)
        calls[run_id] += found.calls.get(execution, ())
    faults = []
    for run_id, status in found.runs.items():
        trace_id = found.traces[run_id]
        evidence = Evidence(status, attempts[run_id], arrived[run_id], calls[run_id])
        found_there = faults_of_trace(traces.get(trace_id, ()), run_id, evidence)
        faults += [f"run {run_id} (trace {trace_id}): {fault}" for fault in found_there]
    return faults


async def judge_traces(otlp: OtlpReceiver, found: Findings, *, seconds: float = 15) -> list[str]:
    """The same, of what has come to a receiver; what is still on its way has so long."""
    until = time.monotonic() + seconds
    while True:
        faults = faults_of_traces(otlp.traces(), found)
        if not faults or time.monotonic() > until:
            return faults
        await asyncio.sleep(0.5)


def _attempt(span: Seen) -> _Attempt:
    return span.attributes.get("mirsal.execution_id"), span.attributes.get("mirsal.attempt")
