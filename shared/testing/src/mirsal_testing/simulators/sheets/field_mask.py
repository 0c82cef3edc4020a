"""Partial answers: `fields=sheets.properties(title,sheetId)` picks members of a JSON answer."""

from __future__ import annotations

import re
from typing import Any

from mirsal_testing.simulators.sheets.errors import GoogleError

Tree = dict[str, "Tree"]

_TOKEN = re.compile(r"[A-Za-z0-9_*]+|[.,/()]")


def parse_mask(text: str) -> Tree:
    """Names with what is asked for within each; empty means all of it. Raises GoogleError 400."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != text.replace(" ", ""):
        raise _wrong(text)
    tree, rest = _read(tokens, text)
    if rest:
        raise _wrong(text)
    return tree


def _wrong(text: str) -> GoogleError:
    return GoogleError(400, f"Invalid field selection {text}")


def _read(tokens: list[str], whole: str) -> tuple[Tree, list[str]]:
    tree: Tree = {}
    while True:
        node = tree
        while True:
            if not tokens or tokens[0] in "./,()":
                raise _wrong(whole)
            node = node.setdefault(tokens[0], {})
            tokens = tokens[1:]
            if tokens and tokens[0] in "./":
                tokens = tokens[1:]
                continue
            break
        if tokens and tokens[0] == "(":
            inner, tokens = _read(tokens[1:], whole)
            if not tokens or tokens[0] != ")":
                raise _wrong(whole)
            node.update(inner)
            tokens = tokens[1:]
        if not tokens or tokens[0] != ",":
            return tree, tokens
        tokens = tokens[1:]


def check_mask(tree: Tree, known: Tree, whole: str) -> None:
    """Raises GoogleError 400 for a name that `known` has not; what it has empty is not checked."""
    for name, inner in tree.items():
        if name == "*":
            continue
        if name not in known:
            raise GoogleError(
                400,
                "Request contains an invalid argument.",
                details=[
                    {
                        "@type": "type.googleapis.com/google.rpc.BadRequest",
                        "fieldViolations": [
                            {
                                "field": whole,
                                "description": "Error expanding 'fields' parameter. Cannot find "
                                f"matching fields for path '{name}'.",
                            }
                        ],
                    }
                ],
            )
        if known[name]:
            check_mask(inner, known[name], whole)


def pick(value: Any, tree: Tree) -> Any:
    if not tree or "*" in tree:
        return value
    if isinstance(value, list):
        return [pick(each, tree) for each in value]
    if isinstance(value, dict):
        return {name: pick(value[name], inner) for name, inner in tree.items() if name in value}
    return value
