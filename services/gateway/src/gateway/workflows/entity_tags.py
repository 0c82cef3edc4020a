"""Entity tags: a workflow's version as HTTP's conditional requests name it (RFC 9110). Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

from gateway.workflows.schemas import MOST_VERSIONS

_TAG: Final = re.compile(r'"([1-9][0-9]{0,9})"')
NONE_YET: Final = 0

IF_MATCH: Final[dict[str, Any]] = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` of the version that the change is based on: if another one has "
    "become the newest meanwhile, nothing is saved and the answer is 412.",
    "schema": {"type": "string"},
    "example": '"3"',
}
IF_NONE_MATCH: Final[dict[str, Any]] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "`*`: save only if there is no such workflow yet, else 412.",
    "schema": {"type": "string"},
    "example": "*",
}


def tag_of(version: int) -> str:
    """The entity tag of a version."""
    return f'"{version}"'


def expected_versions(headers: Mapping[str, str]) -> list[int] | None:
    """The versions of which one must be the newest; `NONE_YET` for no workflow, None for any.

    A tag that is none of ours matches nothing, a weak one neither.
    """
    if headers.get("if-none-match", "").strip() == "*":
        return [NONE_YET]
    given = headers.get("if-match")
    if given is None:
        return None
    numbers = [
        int(match[1])
        for match in (_TAG.fullmatch(each.strip()) for each in given.split(","))
        if match is not None
    ]
    return [number for number in numbers if number <= MOST_VERSIONS]
