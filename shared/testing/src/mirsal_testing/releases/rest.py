"""What clients of one OpenAPI document would miss in another; pure.

Clients take what they do not know, so more calls, members of answers and words in them do no harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mirsal_testing.releases.compatibility import removed_since, unread_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_JSON = "application/json"
_NEEDED = "is needed"
Call = tuple[str, str]


def missing_for_clients(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What clients written against `old` use that `new` has not, or wants and they do not give."""
    before, now = _calls(old), _calls(new)
    faults = [f"{' '.join(call)} is gone" for call in before.keys() - now.keys()]
    for call in before.keys() & now.keys():
        told = " ".join(call)
        faults += [f"{told}: {each}" for each in _parameters(before[call], now[call])]
        faults += [f"{told}: body{each}" for each in _bodies(before[call], now[call], old, new)]
        faults += [f"{told}: {each}" for each in _answers(before[call], now[call], old, new)]
    return sorted(faults)


def _calls(document: Mapping[str, Any]) -> dict[Call, dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def _parameters(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    old, new = (
        {(each["in"], each["name"]): each for each in operation.get("parameters", ())}
        for operation in (before, now)
    )
    for place, name in sorted(old.keys() - new.keys()):
        yield f"the {place} parameter {name} is gone"
    for key in sorted(new):
        if new[key].get("required") and not old.get(key, {}).get("required"):
            yield f"the {key[0]} parameter {key[1]} is needed"


def _bodies(
    before: dict[str, Any], now: dict[str, Any], old: dict[str, Any], new: dict[str, Any]
) -> Iterator[str]:
    kinds = before.get("requestBody", {}).get("content", {})
    for kind in sorted(kinds.keys() - now.get("requestBody", {}).get("content", {}).keys()):
        yield f" may not be {kind}"
    given = _schema(before.get("requestBody", {}), old)
    taken = _schema(now.get("requestBody", {}), new)
    if given is not None and taken is not None:
        yield from removed_since(given, taken)
        yield from (each for each in unread_by(given, taken) if _NEEDED in each)


def _answers(
    before: dict[str, Any], now: dict[str, Any], old: dict[str, Any], new: dict[str, Any]
) -> Iterator[str]:
    for status in sorted(before["responses"]):
        if status not in now["responses"]:
            yield f"never answers {status} any more"
            continue
        known = _schema(before["responses"][status], old)
        given = _schema(now["responses"][status], new)
        if known is not None and given is not None:
            yield from (f"{status}{each}" for each in removed_since(known, given))


def _schema(body: dict[str, Any], document: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of a JSON body, with what it refers to."""
    schema = body.get("content", {}).get(_JSON, {}).get("schema")
    return None if schema is None else {**schema, "components": document["components"]}
