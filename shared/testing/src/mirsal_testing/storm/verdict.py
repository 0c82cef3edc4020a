"""Whether nothing was lost and nothing was sent twice, run by run; pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from mirsal_contracts.ids import execution_id_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from mirsal_testing.storm.records import Findings, Row
    from mirsal_testing.storm.strikes import Strike

# What one worker may have been sending when it was killed.
IN_FLIGHT = 50
WORKER_SUFFIX = "-worker"


def judge(
    accepted: Collection[str],
    found: Findings,
    nodes: Sequence[str],
    strikes: Sequence[Strike],
) -> list[str]:
    """What went wrong, each with the run's log; `nodes` are the workflow's, in sequence."""
    logs: dict[str, list[Row]] = defaultdict(list)
    for row in found.executions:
        logs[row["run_id"]].append(row)
    faults = [
        f"{fault}\n{_describe(logs[run_id])}"
        for run_id in accepted
        for fault in _faults_of_run(run_id, found, logs[run_id], nodes)
    ]
    strangers = set(found.runs) - set(accepted)
    faults += [
        f"run {run_id} was never accepted\n{_describe(logs[run_id])}" for run_id in strangers
    ]
    return faults + list(_faults_of_unconfirmed(found.executions, strikes))


def _faults_of_run(
    run_id: str, found: Findings, log: Sequence[Row], nodes: Sequence[str]
) -> Iterator[str]:
    status = found.runs.get(run_id)
    if status not in ("succeeded", "unconfirmed"):
        yield f"run {run_id} is {status or 'lost'}"
    statuses = {row["node_id"]: row["status"] for row in log}
    for node in nodes:
        sent = found.messages.get(execution_id_of(run_id, node), 0)
        state = statuses.get(node)
        if sent > 1:
            yield f"run {run_id} sent {node} {sent} times"
        if state == "succeeded" and sent == 0:
            yield f"run {run_id} says that {node} succeeded, but nothing arrived"
        if status == "succeeded" and state != "succeeded":
            yield f"run {run_id} succeeded, but its {node} is {state}"
        if state not in ("succeeded", "unconfirmed") and sent:
            yield f"run {run_id} sent {node}, which is {state}"


def _faults_of_unconfirmed(rows: Sequence[Row], strikes: Sequence[Strike]) -> Iterator[str]:
    """Only what a killed worker was sending at that moment may be unconfirmed."""
    for connector in {row["connector_type"] for row in rows}:
        kills = [hit.killed_at for hit in strikes if hit.part == connector + WORKER_SUFFIX]
        open_ends = [
            row
            for row in rows
            if row["connector_type"] == connector and row["status"] == "unconfirmed"
        ]
        if len(open_ends) > IN_FLIGHT * len(kills):
            yield (
                f"{len(open_ends)} {connector} executions are unconfirmed after {len(kills)} kills "
                f"of its worker\n{_describe(open_ends[:5])}"
            )
        late = [row for row in open_ends if row["created_at"].timestamp() > max(kills, default=0)]
        if late:
            yield f"unconfirmed, but asked for after the last kill\n{_describe(late[:5])}"


def _describe(rows: Sequence[Row]) -> str:
    if not rows:
        return "    (no executions)"
    return "\n".join(
        "    " + ", ".join(f"{name}={value}" for name, value in row.items() if value is not None)
        for row in rows
    )
