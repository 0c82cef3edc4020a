"""The judge of traces finds each thing that a run's trace can lack."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from mirsal_testing.otlp import Seen
from mirsal_testing.storm.records import Findings
from mirsal_testing.traces import faults_of_trace, faults_of_traces

RUN, EXECUTION = "run-1", "run-1.chat"
OF_RUN: dict[str, Any] = {"mirsal.run_id": RUN}
OF_ATTEMPT: dict[str, Any] = {**OF_RUN, "mirsal.execution_id": EXECUTION, "mirsal.attempt": 1}


def span(
    span_id: str, parent: str, service: str, name: str, kind: str = "consumer", **attributes: Any
) -> Seen:
    return Seen(service, f"{service}-1", name, kind, "t", span_id, parent, 1, 2, attributes, (), "")


WHOLE = [
    span("1", "", "gateway", "POST /run", "server"),
    span("2", "1", "gateway", "create executions.requested.v1", "producer", **OF_RUN),
    span("3", "2", "orchestrator", "process executions.requested.v1", **OF_RUN),
    span("4", "3", "orchestrator", "run.started", "internal", **OF_RUN),
    span("5", "3", "whatsapp-worker", "process node.commands.whatsapp.v1", **OF_ATTEMPT),
    span("6", "5", "whatsapp-worker", "POST", "client"),
    span("7", "5", "orchestrator", "process node.statuses.v1", **OF_ATTEMPT),
]


def without(*ids: str) -> list[Seen]:
    return [each for each in WHOLE if each.span_id not in ids]


def test_a_whole_trace_has_no_fault() -> None:
    assert [*faults_of_trace(WHOLE, RUN, [EXECUTION])] == []


def test_a_span_that_was_sent_twice_is_one() -> None:
    assert [*faults_of_trace([*WHOLE, *WHOLE], RUN, [EXECUTION])] == []


@pytest.mark.parametrize(
    ("spans", "words"),
    [
        (without("1"), "roots: []"),
        ([replace(WHOLE[0], service="orchestrator"), *WHOLE[1:]], "roots: [('orchestrator'"),
        ([*WHOLE, replace(WHOLE[0], span_id="8")], "roots: [('gateway'"),
        (without("3"), "orchestrator run.started: its parent 3 is not there"),
        (without("2"), "create executions.requested.v1 is not there"),
        (without("3"), "process executions.requested.v1 is not there"),
        (without("4"), "run.started is not there"),
        (without("5"), f"no attempt ('{EXECUTION}', 1)"),
        (without("6"), f"nobody called a provider for {EXECUTION}"),
        ([], "roots: []"),
    ],
)
def test_whatever_is_missing_is_found(spans: list[Seen], words: str) -> None:
    faults = [*faults_of_trace(spans, RUN, [EXECUTION])]
    assert any(each.startswith(words) for each in faults), faults


def test_all_runs_are_judged_by_what_arrived_of_them() -> None:
    found = Findings(
        runs={RUN: "succeeded", "run-2": "failed"},
        executions=[{"run_id": RUN, "execution_id": EXECUTION}],
        messages={EXECUTION: 1},
        traces={RUN: "t", "run-2": "u"},
    )
    other = [replace(each, attributes={"mirsal.run_id": "run-2"}) for each in WHOLE]
    assert faults_of_traces({"t": WHOLE, "u": other}, found) == []
    assert faults_of_traces({"t": without("6"), "u": other}, found)
    assert faults_of_traces({"t": WHOLE}, found)
