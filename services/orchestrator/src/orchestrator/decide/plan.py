"""A workflow's graph, made ready to be followed: computed once a version, shared by its runs."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mirsal_contracts.message import JsonObject
from mirsal_contracts.nodes import NODE_TYPES, NodeType
from mirsal_contracts.workflows import Connection, Graph, Node, OnUnconfirmed, RetryPolicy

from orchestrator.decide.storable import write_json

DEFAULT_RETRY = RetryPolicy()


class GraphRefused(ValueError):
    """The graph cannot be followed: the gateway should not have let it pass."""


class Step(NamedTuple):
    """One node, with all that deciding it needs.

    `targets` and `ancestors` are node ids, `html_paths` JSON pointers into the config, of which
    `template` is rendered and `verbatim` is taken as it stands. `reads_outputs`: its expressions
    may name other nodes.
    """

    id: str
    type: str
    kind: NodeType
    config: JsonObject
    template: JsonObject
    verbatim: JsonObject
    html_paths: frozenset[str]
    reads_outputs: bool
    incoming: tuple[Connection, ...]
    targets: tuple[str, ...]
    ancestors: tuple[str, ...]
    retry: RetryPolicy
    on_unconfirmed: OnUnconfirmed
    timeout_seconds: float
    position: int

    @property
    def max_retries(self) -> int:
        return self.retry.attempts - 1


class Plan(NamedTuple):
    """The steps in topological order; `roots` have no incoming connection."""

    steps: Mapping[str, Step]
    roots: tuple[str, ...]


EMPTY_PLAN = Plan({}, ())


def compile_plan(graph: Graph) -> Plan:
    """Order the graph's nodes. Raises `GraphRefused` where it is not a directed acyclic graph of
    known node types."""
    nodes = {node.id: node for node in graph.nodes}
    if len(nodes) != len(graph.nodes):
        raise GraphRefused("two nodes have the same id")
    incoming: dict[str, list[Connection]] = {node_id: [] for node_id in nodes}
    targets: dict[str, list[str]] = {node_id: [] for node_id in nodes}
    for connection in graph.connections:
        if connection.source not in nodes or connection.target not in nodes:
            raise GraphRefused(
                f"a connection from {connection.source} to {connection.target} "
                "names a node that does not exist"
            )
        incoming[connection.target].append(connection)
        if connection.target not in targets[connection.source]:
            targets[connection.source].append(connection.target)
    order = _order(nodes, incoming, targets)
    ancestors = _find_ancestors(order, incoming)
    steps = {
        node_id: _step(
            nodes[node_id], incoming[node_id], targets[node_id], ancestors[node_id], position
        )
        for position, node_id in enumerate(order)
    }
    return Plan(steps, tuple(node_id for node_id in order if not incoming[node_id]))


def _order(
    nodes: Iterable[str],
    incoming: Mapping[str, list[Connection]],
    targets: Mapping[str, list[str]],
) -> list[str]:
    """Topological, and otherwise as defined."""
    waits_for = {
        node_id: len({connection.source for connection in incoming[node_id]}) for node_id in nodes
    }
    order = [node_id for node_id, count in waits_for.items() if count == 0]
    for node_id in order:
        for target in targets[node_id]:
            waits_for[target] -= 1
            if waits_for[target] == 0:
                order.append(target)
    if len(order) != len(waits_for):
        in_cycle = next(node_id for node_id, count in waits_for.items() if count > 0)
        raise GraphRefused(f"the connections run in a circle through or before {in_cycle}")
    return order


def _find_ancestors(
    order: Iterable[str], incoming: Mapping[str, list[Connection]]
) -> dict[str, set[str]]:
    ancestors: dict[str, set[str]] = {}
    for node_id in order:
        found: set[str] = set()
        for connection in incoming[node_id]:
            found.add(connection.source)
            found |= ancestors[connection.source]
        ancestors[node_id] = found
    return ancestors


def _step(
    node: Node,
    incoming: Iterable[Connection],
    targets: Iterable[str],
    ancestors: Iterable[str],
    position: int,
) -> Step:
    kind = NODE_TYPES.get(node.type)
    if kind is None:
        raise GraphRefused(f"node {node.id} has the unknown type {node.type}")
    return Step(
        id=node.id,
        type=node.type,
        kind=kind,
        config=node.config,
        template={
            name: value for name, value in node.config.items() if name not in kind.verbatim_members
        },
        verbatim={
            name: value for name, value in node.config.items() if name in kind.verbatim_members
        },
        html_paths=frozenset(f"/{member}" for member in kind.html_members),
        reads_outputs=b"nodes" in write_json(node.config),
        incoming=tuple(incoming),
        targets=tuple(targets),
        ancestors=tuple(sorted(ancestors)),
        retry=node.retry or DEFAULT_RETRY,
        on_unconfirmed=node.on_unconfirmed or kind.on_unconfirmed,
        timeout_seconds=node.timeout_seconds or kind.timeout_seconds,
        position=position,
    )
