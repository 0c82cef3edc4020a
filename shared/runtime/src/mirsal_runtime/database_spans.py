"""Spans of statements: below what is being done, or with links to all it is done for."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from mirsal_runtime import telemetry
from mirsal_runtime.message_spans import begin_batch
from mirsal_runtime.span_attributes import database


def tell_statement(
    name: str, rows: int, contexts: Sequence[str] | None = None
) -> AbstractContextManager[object]:
    """The span of the statement `name`, which deals with so many rows.

    Without `contexts` it is below `telemetry.current`; with them it is a trace's own and links to
    those that are recorded. Where none is, there is no span.
    """
    if not telemetry.is_tracing():
        return nullcontext()
    parent = ""
    if contexts is None:
        parent = telemetry.current.get()
        if not telemetry.is_recorded(parent):
            return nullcontext()
    links = [each for each in contexts or () if telemetry.is_recorded(each)]
    if not parent and not links:
        return nullcontext()
    attributes = {**database(name), "db.operation.batch.size": rows}
    return begin_batch(name, "client", attributes, links, parent)
