"""The judge of traces finds each thing that a run's trace can lack."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from mirsal_testing.otlp import Seen
from mirsal_testing.storm.records import Findings
from mirsal_testing.traces import Evidence, faults_of_trace, faults_of_traces

RUN, EXECUTION, TRACE = "run-1", "run-1.chat", "0" * 31 + "1"
OF_RUN: dict[str, Any] = {"mirsal.run_id": RUN}
OF_ATTEMPT: dict[str, Any] = {**OF_RUN, "mirsal.execution_id": EXECUTION, "mirsal.attempt": 1}
OF_SECOND: dict[str, Any] = {**OF_ATTEMPT, "mirsal.attempt": 2}
CHAT: dict[str, Any] = {"mirsal.connector": "whatsapp"}


def long(number: str) -> str:
    return number.rjust(16, "0") if number else ""


def span(
    span_id: str, parent: str, service: str, name: str, kind: str = "consumer", **attributes: Any
) -> Seen:
    instance, links = f"{service}-1", attributes.pop("links", ())
    error = attributes.pop("error", "")
    ids = (TRACE, long(span_id), long(parent))
    return Seen(service, instance, name, kind, *ids, 1, 2, attributes, links, error)


ENDED: dict[str, Any] = {"mirsal.run_status": "succeeded"}
FAILED: dict[str, Any] = {"mirsal.outcome": "transient", "error": "whatsapp_131000"}
WHOLE = [
    span("1", "", "gateway", "POST /run", "server"),
    span("2", "1", "gateway", "create executions.requested.v1", "producer", **OF_RUN),
    span("3", "2", "orchestrator", "process executions.requested.v1", **OF_RUN),
    span("4", "3", "orchestrator", "run.started", "internal", **OF_RUN),
    span("5", "3", "whatsapp-worker", "process node.commands.whatsapp.v1", **OF_ATTEMPT, **CHAT,
         **FAILED),
    span("6", "5", "whatsapp-worker", "POST", "client"),
    span("7", "5", "orchestrator", "process node.statuses.v1", **OF_ATTEMPT),
    span("8", "2", "orchestrator", "process run.timers.v1", **OF_RUN,
         links=((TRACE, long("5")),)),
    span("9", "8", "whatsapp-worker", "process node.commands.whatsapp.v1", **OF_SECOND, **CHAT,
         **{"mirsal.outcome": "succeeded"}),
    span("a", "9", "whatsapp-worker", "POST", "client"),
    span("b", "9", "orchestrator", "process node.statuses.v1", **OF_SECOND, **ENDED),
]  # fmt: skip
CALLS = [
    (f"{EXECUTION}.1", f"00-{TRACE}-{long('6')}-01"),
    (f"{EXECUTION}.2", f"00-{TRACE}-{long('a')}-01"),
]
EVIDENCE = Evidence("succeeded", [(EXECUTION, 2)], [EXECUTION], CALLS)


def without(*ids: str) -> list[Seen]:
    return [each for each in WHOLE if each.span_id not in map(long, ids)]


def changed(span_id: str, **changes: Any) -> list[Seen]:
    return [replace(each, **changes) if each.span_id == long(span_id) else each for each in WHOLE]


def test_a_whole_trace_has_no_fault() -> None:
    assert [*faults_of_trace(WHOLE, RUN, EVIDENCE)] == []
    assert [*faults_of_trace(WHOLE, RUN)] == []


def test_a_span_that_was_sent_twice_is_one() -> None:
    assert [*faults_of_trace([*WHOLE, *WHOLE], RUN, EVIDENCE)] == []


@pytest.mark.parametrize(
    ("spans", "words"),
    [
        (without("1"), "roots: []"),
        (changed("1", service="orchestrator"), "roots: [('orchestrator'"),
        ([*WHOLE, replace(WHOLE[0], span_id=long("c"))], "roots: [('gateway'"),
        (without("3"), f"orchestrator run.started: its parent {long('3')} is not there"),
        (without("2"), "create executions.requested.v1 is not there"),
        (without("3"), "process executions.requested.v1 is not there"),
        (without("4"), "run.started is not there"),
        (changed("b", attributes=OF_SECOND), "nobody tells that it is succeeded"),
        (without("5"), f"no attempt ('{EXECUTION}', 1)"),
        (without("9", "a", "b"), f"no attempt ('{EXECUTION}', 2)"),
        (without("7"), f"nobody decided upon the end of attempt ('{EXECUTION}', 1)"),
        (without("b"), f"nobody decided upon the end of attempt ('{EXECUTION}', 2)"),
        (changed("8", links=()), f"attempt ('{EXECUTION}', 2) does not come after"),
        (without("6"), f"attempt ('{EXECUTION}', 1) called nobody"),
        (without("a"), f"attempt ('{EXECUTION}', 2) called nobody"),
        (without("6", "a"), f"nobody called a provider for {EXECUTION}"),
        (without("6"), f"a call came for {CALLS[0][0]} with"),
        (changed("6", parent_id=long("9")), f"a call came for {CALLS[0][0]} with"),
        ([], "roots: []"),
    ],
)
def test_whatever_is_missing_is_found(spans: list[Seen], words: str) -> None:
    faults = [*faults_of_trace(spans, RUN, EVIDENCE)]
    assert any(each.startswith(words) for each in faults), faults


def test_all_runs_are_judged_by_what_others_saw_of_them() -> None:
    row = {"run_id": RUN, "execution_id": EXECUTION, "status": "succeeded", "attempt": 2}
    found = Findings(
        runs={RUN: "succeeded", "run-2": "running"},
        executions=[row],
        messages={EXECUTION: 1},
        traces={RUN: "t", "run-2": "u"},
        calls={EXECUTION: CALLS},
    )
    other = [replace(each, attributes={"mirsal.run_id": "run-2"}) for each in WHOLE[:4]]
    assert faults_of_traces({"t": WHOLE, "u": other}, found) == []
    for missing in ("6", "9", "b"):
        assert faults_of_traces({"t": without(missing), "u": other}, found)
    assert faults_of_traces({"t": WHOLE}, found)
