"""JSON pointers (RFC 6901), and pydantic's errors as faults that carry them. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from pydantic import JsonValue, ValidationError

from gateway.problems import Fault

FAULTS = 50
"""No answer lists more."""

_TEXTS = {
    "missing": "is required",
    "extra_forbidden": "is not known here",
    "too_short": "needs {min_length} or more, and has {actual_length}",
    "too_long": "may have up to {max_length}, and has {actual_length}",
    "union_tag_not_found": "is required",
    "union_tag_invalid": "must be one of {expected_tags}",
}
_NEW_MEMBER = {"missing", "extra_forbidden"}
# These stand where the object is whose member is wrong.
_ABOUT_MEMBER = {"union_tag_not_found", "union_tag_invalid"}


def join(pointer: str, *steps: str | int) -> str:
    """`pointer` with more steps, escaped."""
    escaped = (str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    return "/".join((pointer, *escaped))


def faults_of(error: ValidationError, value: JsonValue, *, at: str = "") -> list[Fault]:
    """The faults of a validation of `value`, which itself stands at the pointer `at`.

    What pydantic says of several members of one union at the same place is one fault.
    """
    found: dict[str, Fault] = {}
    for each in error.errors(include_url=False, include_input=False):
        pointer, place = _find(value, each["loc"], each["type"])
        pointer = at + pointer
        if each["type"] == "too_short" and len(_items(place)) >= each["ctx"]["min_length"]:
            # Pydantic counts only the items that are right; what is wrong is said of the others.
            continue
        if each["type"] in _ABOUT_MEMBER:
            pointer = join(pointer, each["ctx"]["discriminator"].strip("'"))
        text = _to_text(each["type"], each["msg"], each.get("ctx", {}))
        found.setdefault(pointer, Fault(text, pointer))
        if len(found) == FAULTS:
            break
    return list(found.values())


def _to_text(kind: str, message: str, details: Mapping[str, object]) -> str:
    known = _TEXTS.get(kind)
    return message.removeprefix("Value error, ") if known is None else known.format_map(details)


def _find(value: JsonValue, location: Iterable[int | str], kind: str) -> tuple[str, JsonValue]:
    """The pointer and what is there; steps that the value does not have name a union's member."""
    steps = list(location)
    pointer = ""
    for index, step in enumerate(steps):
        if isinstance(value, dict) and step in value:
            value = value[str(step)]
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        elif not (kind in _NEW_MEMBER and index == len(steps) - 1):
            continue
        pointer = join(pointer, step)
    return pointer, value


def _items(value: JsonValue) -> Sequence[object]:
    return value if isinstance(value, list) else ()
