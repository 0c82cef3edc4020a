"""What the audit log may hold of values: personal data and secrets by their type alone. Pure.

Rows of the log are never changed, so what is to be forgotten some day must not get there.
"""

import re
from collections.abc import Mapping
from typing import Final

from mirsal_contracts.message import JsonObject
from pydantic import JsonValue

SECRET: Final = "[secret]"  # noqa: S105 - stands for one
LEAD_MEMBERS: Final = frozenset({"locale", "timeZone", "consent"})
"""These say nothing of who the lead is, and consent is what auditors ask for."""

_SECRET_NAME: Final = re.compile(
    r"(pass(word|phrase|wd)|secret|token|(api|private|signing|access)_?key|authorization|pepper"
    r"|cookie)$",
    re.IGNORECASE,
)
_SECRET_TEXT: Final = re.compile(r"\bmk_[A-Za-z0-9]{20,}|\bBearer\s+\S{8,}|-----BEGIN [A-Z ]+-----")
_TYPES: Final = {"email": "[email]", "phone": "[phone]"}


def mask_lead(lead: Mapping[str, JsonValue]) -> JsonObject:
    """A lead by its wire names: which members it has and of what type, and what it agreed to."""
    return {
        name: value if name in LEAD_MEMBERS else _TYPES.get(name, mask(value)) if value else None
        for name, value in lead.items()
    }


def mask(value: JsonValue) -> JsonValue:
    """The value's shape: names of members stay, everything else is its type."""
    match value:
        case dict():
            return {name: mask(inner) for name, inner in value.items()}
        case list():
            return f"[{len(value)} items]"
        case bool():
            return "[truth]"
        case int() | float():
            return "[number]"
        case str():
            return "[text]"
        case None:
            return None


def find_changes(
    old: Mapping[str, JsonValue], new: Mapping[str, JsonValue]
) -> tuple[JsonObject, JsonObject]:
    """The members that differ, as they were and as they are; mask afterwards, never before."""
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return {name: old.get(name) for name in names}, {name: new.get(name) for name in names}


def hide_secrets(value: JsonValue) -> JsonValue:
    """The value without what looks like a secret by its name or by itself: a net, not a plan."""
    match value:
        case dict():
            return {
                name: SECRET
                if isinstance(inner, str) and inner and _SECRET_NAME.search(name)
                else hide_secrets(inner)
                for name, inner in value.items()
            }
        case list():
            return [hide_secrets(inner) for inner in value]
        case str():
            return SECRET if _SECRET_TEXT.search(value) else value
        case _:
            return value
