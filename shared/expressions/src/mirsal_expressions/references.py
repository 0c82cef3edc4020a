"""Which nodes an expression reads: what decides whether a node can run before another."""

from mirsal_expressions.conditions import read_paths
from mirsal_expressions.templates import is_plain, read_template_paths


def referenced_nodes(source: str, *, condition: bool | None = None) -> frozenset[str]:
    """The ids in `nodes.<id>` and `nodes["<id>"]`; of a broken expression those before its fault.

    Without `condition` a source with a tag is a template and any other is read as a condition, so
    that a plain text that happens to be a condition counts as one: say which where it is known.
    """
    if condition is None:
        condition = is_plain(source)
    paths = read_paths(source) if condition else read_template_paths(source)
    nodes = (path[1] for path in paths if path[0] == "nodes" and len(path) > 1)
    return frozenset(node_id for node_id in nodes if isinstance(node_id, str))
