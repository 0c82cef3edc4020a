"""Changelog fragments: `changes/<service>/+<what>.<kind>.md`, and the versions that follow of them.

A fragment below `platform` is of every service. towncrier makes the changelog of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, get_args

from mirsal_testing.releases.kept import number_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Kind: TypeAlias = Literal["added", "changed", "fixed", "removed", "security", "rollout"]
PLATFORM = "platform"
MOST_LINES = 3
_OTHERS = {"README.md", "changelog.md.jinja"}
_NAME = re.compile(r"\+[a-z0-9]+(?:-[a-z0-9]+)*\.(\w+)\.md")
# What each kind makes of a version: which of its three numbers grows.
_GROWS: Mapping[Kind, int] = {
    "removed": 0,
    "added": 1,
    "changed": 1,
    "fixed": 2,
    "security": 2,
    "rollout": 2,
}


class Fragment(NamedTuple):
    """One line of the changelog to be."""

    section: str
    kind: Kind
    text: str


class MalformedFragment(Exception):
    """A file in `changes/` that would be lost or look odd; the text says why."""


def read_fragments(root: Path, services: Iterable[str]) -> list[Fragment]:
    """All of a checkout's. Raises `MalformedFragment`."""
    sections = {*services, PLATFORM}
    files = [path for path in sorted((root / "changes").rglob("*")) if path.is_file()]
    return [_read(path, root / "changes", sections) for path in files if path.name not in _OTHERS]


def _read(path: Path, folder: Path, sections: set[str]) -> Fragment:
    place = path.relative_to(folder)
    if len(place.parts) != 2 or place.parts[0] not in sections:
        raise MalformedFragment(f"{place}: put it below one of {', '.join(sorted(sections))}")
    name = _NAME.fullmatch(path.name)
    if name is None or name[1] not in get_args(Kind):
        kinds = ", ".join(get_args(Kind))
        raise MalformedFragment(f"{place}: name it +what-it-is.<kind>.md; kinds are {kinds}")
    text = path.read_text("utf-8").strip()
    if not text or text.count("\n") >= MOST_LINES or text.startswith(("#", "-", "*")):
        raise MalformedFragment(f"{place}: one to {MOST_LINES} lines, without heading or bullet")
    kind: Kind = name[1]  # type: ignore[assignment]  # one of the kinds, as was just looked at
    return Fragment(place.parts[0], kind, text)


def next_versions(fragments: list[Fragment], current: Mapping[str, str]) -> dict[str, str]:
    """Each service's next version, and the platform's; the same for who has not changed.

    Before 1.0.0 the second number grows where the first would.
    """
    found = {}
    for name, version in current.items():
        kinds = [
            each.kind for each in fragments if name == PLATFORM or each.section in {name, PLATFORM}
        ]
        found[name] = _grown(version, min((_GROWS[kind] for kind in kinds), default=None))
    return found


def _grown(version: str, place: int | None) -> str:
    if place is None:
        return version
    numbers = list(number_of(version))
    if numbers[0] == 0:
        place = max(place, 1)
    grown = [*numbers[:place], numbers[place] + 1, 0, 0]
    return ".".join(map(str, grown[:3]))
