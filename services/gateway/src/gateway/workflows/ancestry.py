"""The order of a graph's nodes: what comes before what, and cycles, which forbid any. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

Arrows: TypeAlias = Sequence[tuple[str, str]]


class Cycle(NamedTuple):
    """Nodes that wait for each other, and the arrow (by its index) that closes the circle."""

    nodes: tuple[str, ...]
    arrow: int

    def describe(self) -> str:
        """`a → b → a`."""
        return " → ".join((*self.nodes, self.nodes[0]))


def find_cycle(nodes: Sequence[str], arrows: Arrows) -> Cycle | None:
    """A circle of arrows, if there is one. Walks without recursion, each arrow once."""
    following: dict[str, list[tuple[str, int]]] = {node: [] for node in nodes}
    for index, (source, target) in enumerate(arrows):
        following[source].append((target, index))
    done: set[str] = set()
    for start in nodes:
        trail: list[str] = [] if start in done else [start]
        on_trail = set(trail)
        while trail:
            node = trail[-1]
            if following[node]:
                target, index = following[node].pop()
                if target in on_trail:
                    return Cycle(tuple(trail[trail.index(target) :]), index)
                if target not in done:
                    trail.append(target)
                    on_trail.add(target)
            else:
                done.add(trail.pop())
                on_trail.discard(node)
    return None


def find_ancestors(nodes: Sequence[str], arrows: Arrows) -> Mapping[str, frozenset[str]]:
    """For each node all those from which arrows lead to it. The graph must have no cycle."""
    sources: dict[str, list[str]] = {node: [] for node in nodes}
    for source, target in arrows:
        sources[target].append(source)
    found: dict[str, frozenset[str]] = {}
    for start in nodes:
        waiting = [start]
        while waiting:
            node = waiting[-1]
            missing = [source for source in sources[node] if source not in found]
            if missing:
                waiting.extend(missing)
                continue
            waiting.pop()
            found[node] = frozenset(sources[node]).union(*(found[each] for each in sources[node]))
    return found
