"""The part of a scope that a condition reads, and whether evaluating it there is affordable."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from mirsal_expressions.cel_rules import Cost
from mirsal_expressions.faults import RefusedError
from mirsal_expressions.members import Path

# 0.15 s at the worst that was found; ordinary conditions stay under a thousand.
WORK_LIMIT: Final = 10_000_000
DEPTH_LIMIT: Final = 64
_CHARACTERS_A_UNIT: Final = 64
_PATTERN_STEPS_A_UNIT: Final = 2

Wanted = dict[Any, Any]


def merge_paths(paths: Iterable[Path]) -> Wanted:
    """The paths as a tree; None stands for a whole value."""
    tree: Wanted = {}
    for path in sorted(paths, key=len):
        branch = tree
        for member in path[:-1]:
            branch = branch.setdefault(member, {})
            if branch is None:
                break
        else:
            branch[path[-1]] = None
    return tree


def narrow(scope: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    """A copy of `scope` with only the wanted members that exist: converting the rest costs most."""
    narrowed = {}
    for member, below in wanted.items():
        if member in scope:
            value = scope[member]
            if below is not None and isinstance(value, Mapping):
                value = narrow(value, below)
            narrowed[member] = value
    return narrowed


def check_cost(cost: Cost, given: Mapping[str, Any]) -> None:
    """Raises RefusedError when the evaluation could take long on these values.

    Each operation may touch every element and character, once for every round of the loops, and
    each addition copies what was added up before it.
    """
    elements, characters = _weigh(given)
    elements += cost.literals
    size = (elements + characters // _CHARACTERS_A_UNIT) * (1 + cost.additions)
    work = cost.operations * elements**cost.loops_deep * size
    work += characters * cost.pattern_steps // _PATTERN_STEPS_A_UNIT
    if work > WORK_LIMIT:
        message = (
            "the condition would look at too much data: read a smaller member, use fewer loops,"
            " or decide in a code node"
        )
        raise RefusedError("too_much_work", message)


def _weigh(value: Any) -> tuple[int, int]:
    """Counts elements and characters; refuses what is no JSON."""
    elements = characters = 0
    pending = [(value, 0)]
    while pending:
        current, depth = pending.pop()
        elements += 1
        if isinstance(current, str):
            characters += len(current)
        elif isinstance(current, (dict, list, tuple)):
            if depth > DEPTH_LIMIT:
                message = f"the values are nested more than {DEPTH_LIMIT} deep"
                raise RefusedError("too_deep", message)
            members = current.values() if isinstance(current, dict) else current
            pending += [(member, depth + 1) for member in members]
        elif current is not None and not isinstance(current, (bool, int, float)):
            _check_moment(current)
    return elements, characters


def _check_moment(value: object) -> None:
    if not isinstance(value, datetime) or value.tzinfo is None:
        message = f"a value of the kind {type(value).__name__} cannot stand in a condition"
        raise RefusedError("not_json", message)
