"""The order of nodes, against the plainest way to find it."""

from itertools import pairwise

from gateway.workflows.ancestry import find_ancestors, find_cycle
from hypothesis import given
from hypothesis import strategies as st

NODES = [str(number) for number in range(7)]
ARROWS = st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES)), max_size=14)


def reach(node: str, arrows: list[tuple[str, str]]) -> set[str]:
    """All nodes from which arrows lead to `node`."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        target = waiting.pop()
        for source, to in arrows:
            if to == target and source not in found:
                found.add(source)
                waiting.append(source)
    return found


@given(ARROWS)
def test_a_cycle_is_found_if_and_only_if_there_is_one(arrows: list[tuple[str, str]]) -> None:
    cycle = find_cycle(NODES, arrows)
    has_one = any(node in reach(node, arrows) for node in NODES)
    assert (cycle is not None) is has_one
    if cycle is not None:
        around = (*cycle.nodes, cycle.nodes[0])
        assert all(step in arrows for step in pairwise(around))
        assert arrows[cycle.arrow] == (cycle.nodes[-1], cycle.nodes[0])


@given(ARROWS)
def test_ancestors_are_those_from_which_arrows_lead(arrows: list[tuple[str, str]]) -> None:
    forward = [(source, target) for source, target in arrows if source < target]
    found = find_ancestors(NODES, forward)
    assert found == {node: reach(node, forward) for node in NODES}


def test_a_long_chain_needs_no_recursion() -> None:
    nodes = [str(number) for number in range(5_000)]
    arrows = list(pairwise(nodes))
    assert find_cycle(nodes, arrows) is None
    assert len(find_ancestors(nodes[:600], arrows[:599])["599"]) == 599
    cycle = find_cycle(nodes, [*arrows, (nodes[-1], nodes[0])])
    assert cycle is not None
    assert len(cycle.nodes) == 5_000
