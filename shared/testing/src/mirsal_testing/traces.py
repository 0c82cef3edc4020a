"""Judges traces: whether a run's is whole, from the call to the provider."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mirsal_testing.otlp import Seen


def faults_of_trace(spans: Sequence[Seen], run_id: str) -> Iterator[str]:
    """What a run's trace lacks; nothing for one that is whole.

    Whole is: it begins at the gateway, every span's parent is there, the run was begun by the
    orchestrator, and each attempt that a status tells of is there.
    """
    ids = {span.span_id for span in spans}
    roots = [span for span in spans if not span.parent_id]
    if Counter(span.service for span in roots) != {"gateway": 1}:
        yield f"roots: {[(span.service, span.name) for span in roots]}"
    for span in spans:
        if span.parent_id and span.parent_id not in ids:
            yield f"{span.service} {span.name}: its parent {span.parent_id} is not there"
    of_run = [span for span in spans if span.attributes.get("mirsal.run_id") == run_id]
    names = {span.name for span in of_run}
    wanted = ("create executions.requested.v1", "process executions.requested.v1", "run.started")
    for name in wanted:
        if name not in names:
            yield f"{name} is not there"
    made = {_attempt(span) for span in of_run if span.name.startswith("process node.commands.")}
    for span in of_run:
        if span.name == "process node.statuses.v1" and _attempt(span) not in made:
            yield f"no attempt {_attempt(span)}"


def _attempt(span: Seen) -> tuple[object, object]:
    return span.attributes.get("mirsal.execution_id"), span.attributes.get("mirsal.attempt")
