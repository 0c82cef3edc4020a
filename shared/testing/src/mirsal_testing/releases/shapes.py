"""The shape of a JSON value: which members it has and of what kinds; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeVar

    ItemT = TypeVar("ItemT")


def shape_of(value: Any) -> frozenset[str]:
    """Paths with the kind of what lies there: `lead.fields.city:str`, `graph.nodes.[].id:str`."""
    return frozenset(_paths(value, ""))


def _paths(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _paths(member, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for member in value:
            yield from _paths(member, f"{path}.[]")
    if not value or not isinstance(value, dict | list):
        yield f"{path}:{type(value).__name__}"


def one_of_each(
    items: Iterable[ItemT], key: Callable[[ItemT], tuple[str, frozenset[str]]]
) -> list[ItemT]:
    """The items whose shapes tell something that no earlier one of their kind did.

    `key` gives an item's kind and its shape; the largest shapes come first.
    """
    known: dict[str, set[str]] = {}
    chosen: list[ItemT] = []
    for item in sorted(items, key=lambda each: -len(key(each)[1])):
        kind, shape = key(item)
        seen = known.setdefault(kind, set())
        if not seen or not shape <= seen:
            seen |= shape
            chosen.append(item)
    return chosen


def missing_from(old: Any, new: Any, path: str = "") -> list[str]:
    """What `old` says and `new` does not; a reader that read all of it leaves nothing."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            fault
            for name, member in old.items()
            for fault in (
                missing_from(member, new[name], f"{path}.{name}")
                if name in new
                else [f"{path}.{name} is gone"]
            )
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            fault
            for index, (left, right) in enumerate(zip(old, new, strict=True))
            for fault in missing_from(left, right, f"{path}[{index}]")
        ]
    return [] if old == new else [f"{path} was {old!r}, is read as {new!r}"]
