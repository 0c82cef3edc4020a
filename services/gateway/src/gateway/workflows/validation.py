"""What makes a definition impossible to run: each fault with its JSON pointer. Pure."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

import orjson
from mirsal_contracts.message import JsonObject
from mirsal_contracts.nodes import NODE_TYPES, NodeType
from mirsal_contracts.workflows import Connection, Node
from mirsal_expressions import check_condition, check_template, referenced_nodes
from pydantic import JsonValue, ValidationError

from gateway.pointers import FAULTS, faults_of, join
from gateway.problems import Fault
from gateway.workflows.ancestry import find_ancestors, find_cycle
from gateway.workflows.schemas import WorkflowDraft

_NOTHING: frozenset[str] = frozenset()


def find_faults(draft: WorkflowDraft) -> list[Fault]:
    """All that is wrong, in the order of the document; at most `FAULTS`."""
    kinds = {node.id: NODE_TYPES.get(node.type) for node in draft.nodes}
    faults = [
        *_check_names(draft),
        *_check_connections(draft, kinds),
    ]
    faults += _check_order(draft, kinds.keys())
    before = None if faults else find_ancestors(list(kinds), _arrows(draft))
    for index, node in enumerate(draft.nodes):
        at = join("/nodes", index)
        if node.type not in NODE_TYPES:
            continue
        faults.extend(check_config(node, at=join(at, "config"), known=kinds.keys(), before=before))
        if len(faults) >= FAULTS:
            break
    return faults[:FAULTS]


def check_config(
    node: Node, *, at: str, known: Collection[str], before: Mapping[str, frozenset[str]] | None
) -> Iterator[Fault]:
    """The faults of one node's config, which stands at the pointer `at`.

    `known` are the ids of the graph's nodes, `before` those that come before each; None leaves
    the order unchecked. The node's type must be known.
    """
    kind = NODE_TYPES[node.type]
    try:
        kind.config.model_validate_json(
            orjson.dumps(node.config), strict=True, by_alias=True, by_name=False
        )
    except ValidationError as error:
        yield from faults_of(error, node.config, at=at)
    earlier = None if before is None else before.get(node.id, _NOTHING)
    for pointer, text, is_condition in _texts(node.config, at, kind):
        yield from _check_text(text, pointer, is_condition, known=known, earlier=earlier)


def _check_names(draft: WorkflowDraft) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, node in enumerate(draft.nodes):
        if node.id in seen:
            yield Fault(f"another node is called {node.id} already", join("/nodes", index, "id"))
        seen.add(node.id)
        if node.type not in NODE_TYPES:
            known = ", ".join(sorted(NODE_TYPES))
            yield Fault(
                f"is not a type of node: take one of {known}", join("/nodes", index, "type")
            )


def _check_connections(
    draft: WorkflowDraft, kinds: Mapping[str, NodeType | None]
) -> Iterator[Fault]:
    counts = Counter((each.source, each.target, each.when) for each in draft.connections)
    seen: set[tuple[str, str, str | None]] = set()
    for index, connection in enumerate(draft.connections):
        at = join("/connections", index)
        for member, name in (("from", connection.source), ("to", connection.target)):
            if name not in kinds:
                yield Fault(f"there is no node {name}", join(at, member))
        if connection.source == connection.target:
            yield Fault("a node cannot wait for itself", at)
        key = (connection.source, connection.target, connection.when)
        if counts[key] > 1 and key in seen:
            yield Fault("is there already", at)
        seen.add(key)
        kind = kinds.get(connection.source)
        if kind is not None:
            yield from _check_when(connection, kind, at)


def _check_when(connection: Connection, kind: NodeType, at: str) -> Iterator[Fault]:
    outcomes = " or ".join(f'"{outcome}"' for outcome in sorted(kind.outcomes, reverse=True))
    if connection.when is None:
        if kind.outcomes:
            yield Fault(
                f'needs "when": {outcomes}, because {connection.source} has these outcomes', at
            )
    elif not kind.outcomes:
        yield Fault(
            f"{connection.source} has no outcomes to choose from: leave this out",
            join(at, "when"),
        )
    elif connection.when not in kind.outcomes:
        yield Fault(f"must be {outcomes}", join(at, "when"))


def _check_order(draft: WorkflowDraft, known: Collection[str]) -> Iterator[Fault]:
    """The circle in the connections, if there is one; those at fault in themselves are left out."""
    arrows = _arrows(draft)
    places = [
        place
        for place, (source, target) in enumerate(arrows)
        if source != target and source in known and target in known
    ]
    cycle = find_cycle(list(known), [arrows[place] for place in places])
    if cycle is not None:
        yield Fault(
            f"these nodes wait for each other: {cycle.describe()}",
            join("/connections", places[cycle.arrow]),
        )


def _arrows(draft: WorkflowDraft) -> list[tuple[str, str]]:
    return [(each.source, each.target) for each in draft.connections]


def _texts(config: JsonObject, at: str, kind: NodeType) -> Iterator[tuple[str, str, bool]]:
    """The strings of a config: pointer, text, and whether it is a condition."""
    for name, value in config.items():
        if name in kind.verbatim_members:
            continue
        is_condition = name in kind.expression_members
        for pointer, text in _strings(value, join(at, name)):
            yield pointer, text, is_condition


def _strings(value: JsonValue, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _strings(inner, join(at, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _strings(inner, join(at, index))


def _check_text(
    text: str,
    pointer: str,
    is_condition: bool,
    *,
    known: Collection[str],
    earlier: frozenset[str] | None,
) -> Iterator[Fault]:
    check = check_condition if is_condition else check_template
    found = check(text, node_ids=known)
    for each in found:
        place = f"line {each.line}, column {each.column}: " if each.line is not None else ""
        yield Fault(place + each.message, pointer)
    if found or earlier is None:
        return
    for name in sorted(referenced_nodes(text, condition=is_condition) - earlier):
        yield Fault(f"reads the output of {name}, which does not come before this node", pointer)
