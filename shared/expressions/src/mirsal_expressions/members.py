"""The scope's members: which exist, how one is looked up, how it is written."""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

Member = str | int
Path = tuple[Member, ...]

LEAD_MEMBERS = frozenset(
    ["id", "name", "email", "phone", "locale", "timeZone", "tags", "fields", "consent"]
)
RUN_MEMBERS = frozenset(["id", "input"])
ROOTS = ("lead", "run", "nodes")

NODE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAMES_SHOWN = 8
_NAME_LENGTH_SHOWN = 40
_NAMES_COMPARED = 200


class PathFault(NamedTuple):
    """A path that can never have a value; the caller knows where it stands."""

    code: str
    message: str


class Missing:
    """What a look-up gives when a member does not exist; `default` and `if` accept it."""

    __slots__ = ("container", "path")

    def __init__(self, path: Path, container: object) -> None:
        self.path = path
        self.container = container

    def describe(self) -> str:
        """Says what does not exist and what does, by name only."""
        owner = write_path(self.path[:-1])
        what = f"{write_path(self.path)} does not exist"
        if not owner:
            return f"{what} here"
        container = self.container
        if isinstance(container, Mapping):
            names = [str(name) for name in container]
            close = _closest(str(self.path[-1]), names)
            if close:
                return f'{what} (did you mean "{close}"?)'
            return f"{what}: {owner} has {_list_names(names)}"
        if isinstance(container, (list, tuple)):
            return f"{what}: {owner} is a list of {len(container)}, counted from [0]"
        if container is None:
            return f"{what}: {owner} is empty (null)"
        return f"{what}: {owner} is a single value without members"


def look_up(scope: Mapping[str, Any], path: Path) -> Any:
    """The value at `path`, by keys of mappings and indexes of lists only, or Missing."""
    current: Any = scope
    for depth, member in enumerate(path):
        kind = type(current)
        if kind is dict or isinstance(current, Mapping):
            if member not in current:
                return Missing(path[: depth + 1], current)
        elif kind is list or isinstance(current, (list, tuple)):
            if type(member) is not int or not -len(current) <= member < len(current):
                return Missing(path[: depth + 1], current)
        else:
            return Missing(path[: depth + 1], current)
        current = current[member]
    return current


def write_path(path: Path) -> str:
    """The path as an author writes it: `nodes["send-mail"].output.items[0]`."""
    written = ""
    for member in path:
        if isinstance(member, int):
            written += f"[{member}]"
        elif _PLAIN.fullmatch(member):
            written += f".{member}" if written else member
        else:
            written += f'["{shorten(member)}"]'
    return written


def check_path(path: Path, node_ids: Collection[str] | None) -> PathFault | None:
    """Says why `path` can have no value in any run; with `node_ids` None any id may exist."""
    root, *rest = path
    if root == "lead":
        return _check_first("lead", rest, LEAD_MEMBERS)
    if root == "run":
        return _check_first("run", rest, RUN_MEMBERS)
    return _check_node(rest, node_ids)


def describe_unknown_root(name: str) -> str:
    """Says what an expression may start with, with a guess at what was meant."""
    known = "an expression starts with lead, run or nodes"
    close = _closest(name, ROOTS)
    if close:
        return f"{shorten(name)} is not known here: did you mean {close}?"
    if name in LEAD_MEMBERS:
        return f"{shorten(name)} is not known here: did you mean lead.{name}?"
    example = write_path(("lead", "fields", shorten(name)))
    return f"{shorten(name)} is not known here: {known}; a field of the lead is {example}"


def shorten(name: str) -> str:
    """A name cut to what fits in a message."""
    return name if len(name) <= _NAME_LENGTH_SHOWN else name[:_NAME_LENGTH_SHOWN] + "…"


def _check_first(root: str, rest: list[Member], known: frozenset[str]) -> PathFault | None:
    if not rest or rest[0] in known:
        return None
    name = str(rest[0])
    close = _closest(name, known)
    if close:
        hint = f"did you mean {root}.{close}?"
    elif root == "lead":
        hint = f"a field of your own is {write_path(('lead', 'fields', shorten(name)))}"
    else:
        hint = f"what the run was started with is {write_path(('run', 'input', shorten(name)))}"
    return PathFault("unknown_member", f"{root} has no member {shorten(name)}: {hint}")


def _check_node(rest: list[Member], node_ids: Collection[str] | None) -> PathFault | None:
    if not rest or not isinstance(rest[0], str):
        return PathFault("unknown_node", 'name the node: nodes.greet.output or nodes["send-mail"]')
    name = rest[0]
    if node_ids is not None and name not in node_ids:
        close = _closest(name, node_ids)
        if close:
            hint = f"did you mean {write_path(('nodes', close))}?"
        elif node_ids:
            hint = f"the nodes are {_list_names(list(node_ids))}"
        else:
            hint = "there are no other nodes here"
        return PathFault("unknown_node", f"there is no node {shorten(name)}: {hint}")
    if len(rest) > 1 and rest[1] != "output":
        written = write_path(("nodes", name, "output", *rest[1:]))
        return PathFault("unknown_member", f"a node has only output: write {written}")
    return None


def _closest(name: str, known: Collection[str]) -> str | None:
    candidates = sorted(known)[:_NAMES_COMPARED]
    close = get_close_matches(name[:_NAME_LENGTH_SHOWN], candidates, n=1, cutoff=0.75)
    return shorten(close[0]) if close else None


def _list_names(names: list[str]) -> str:
    if not names:
        return "nothing"
    shown = ", ".join(shorten(name) for name in sorted(names)[:_NAMES_SHOWN])
    return f"{shown}, …" if len(names) > _NAMES_SHOWN else shown
