"""Which nodes an expression reads: what decides whether a node can run before another."""

from typing import Literal

from mirsal_expressions.conditions import read_paths
from mirsal_expressions.templates import is_plain, read_template_paths


def referenced_nodes(
    source: str, *, kind: Literal["template", "condition"] | None = None
) -> frozenset[str]:
    """The ids in `nodes.<id>` and `nodes["<id>"]`; of a broken expression those before its fault.

    Without `kind` a source with a tag is a template and any other is read as a condition, so that
    a plain text that happens to be a condition counts as one: give the kind where it is known.
    """
    if kind is None:
        kind = "condition" if is_plain(source) else "template"
    paths = read_template_paths(source) if kind == "template" else read_paths(source)
    return frozenset(
        path[1]
        for path in paths
        if path[0] == "nodes" and len(path) > 1 and isinstance(path[1], str)
    )
