"""Reading members of a sent JSON object; refusals in Meta's words where they are wrong."""

from __future__ import annotations

from typing import Any

from mirsal_testing.simulators.whatsapp.errors import MetaError, missing, wrong

Json = dict[str, Any]


def object_at(holder: Json, name: str, path: str | None = None) -> Json:
    """The member, which must be an object. `path` is how Meta names it if it is nested."""
    value = holder.get(name)
    if value is None:
        raise missing(path or name)
    if not isinstance(value, dict):
        raise wrong(path or name, "be a JSON object.")
    return value


def text_at(holder: Json, name: str, path: str, longest: int | None = None) -> str:
    """The member, which must be a string and not empty; `longest` in characters."""
    value = optional_text_at(holder, name, path, longest)
    if not value:
        raise missing(path)
    return value


def optional_text_at(holder: Json, name: str, path: str, longest: int | None = None) -> str | None:
    value = holder.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise wrong(path, "be a string.")
    if longest is not None and len(value) > longest:
        raise wrong(path, f"be at most {longest} characters long.")
    return value


def refuse_unknown(holder: Json, known: frozenset[str], param: str) -> None:
    for name in holder:
        if name not in known:
            raise MetaError(100, message=f'(#100) Unexpected key "{name}" on param "{param}".')
