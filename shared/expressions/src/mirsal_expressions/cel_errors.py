"""From the CEL library's errors to what an author can act on, without any of the lead's values."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mirsal_expressions.faults import RefusedError
from mirsal_expressions.members import Missing, Path, look_up, shorten, write_path

_COLUMN: Final = re.compile(r"<input>:1:(\d+)")
_UNDEFINED: Final = re.compile(r"Undefined variable or function: '(?:mirsal_)?(\w+)'")
_FUNCTION: Final = re.compile(r"Function '(?:mirsal_)?(\w+)'")

PathAt = tuple[Path, int]


def explain_syntax(error: ValueError, written: Sequence[tuple[str, int]]) -> RefusedError:
    """The library's refusal of the written tokens, said of what the author wrote."""
    if "Recursion limit" in str(error):
        return RefusedError("too_deep", "the condition is nested too deeply", None)
    match = _COLUMN.search(str(error))
    column = int(match.group(1)) if match else 1
    reached = 1
    for text, offset in written:
        if reached <= column < reached + len(text):
            return RefusedError("syntax", f"{shorten(text)} is not expected here", offset)
        reached += len(text) + 1
    last = written[-1][1]
    return RefusedError("syntax", "the condition ends too early: something is missing", last)


def explain_evaluation(
    error: Exception, source: str, paths: Sequence[PathAt], scope: Mapping[str, Any]
) -> RefusedError:
    """What went wrong at evaluation, by the kind of the library's error."""
    if isinstance(error, KeyError):
        # A name that is not in the condition comes from a value, which no message may hold.
        name = str(error.args[0])
        return _explain_missing(name if name in source else "it asks for", paths, scope)
    if isinstance(error, IndexError):
        message = "the list has no item at this index: test size(...) first"
        return RefusedError("missing_member", message)
    if isinstance(error, ZeroDivisionError):
        return RefusedError("division_by_zero", "a division by zero: test the divisor first")
    if isinstance(error, OverflowError):
        return RefusedError("overflow", "the number gets too large: write double(...)")
    if isinstance(error, TypeError):
        return _explain_kinds(paths, scope)
    return _explain_call(str(error), paths, scope)


def _explain_missing(name: str, paths: Sequence[PathAt], scope: Mapping[str, Any]) -> RefusedError:
    for path, offset in paths:
        missing = look_up(scope, path)
        if isinstance(missing, Missing) and missing.path[-1] == name:
            tested = write_path(missing.path)
            message = f"{missing.describe()}. If it may be absent, test first: has({tested}) && ..."
            return RefusedError("missing_member", message, offset)
    message = (
        f"the member {shorten(name)} does not exist: if it may be absent, test first: has(...)"
    )
    return RefusedError("missing_member", message)


def _explain_kinds(paths: Sequence[PathAt], scope: Mapping[str, Any]) -> RefusedError:
    for path, offset in paths:
        value = look_up(scope, path)
        if value is None:
            written = write_path(path)
            message = f"{written} is empty (null): test first: {written} != null && ..."
            return RefusedError("wrong_kind", message, offset)
        if isinstance(value, Missing) and not isinstance(value.container, Mapping):
            return RefusedError("wrong_kind", value.describe(), offset)
    message = (
        "values of two kinds meet: a text and a number do not compare (write double(...) or"
        " string(...)), and in arithmetic neither do 2 and 2.5 (write double(...) around both)"
    )
    return RefusedError("wrong_kind", message)


def _explain_call(error: str, paths: Sequence[PathAt], scope: Mapping[str, Any]) -> RefusedError:
    undefined, function = _UNDEFINED.search(error), _FUNCTION.search(error)
    if undefined:
        name = undefined.group(1)
        for path, offset in paths:
            if path[0] == name and name not in scope:
                return RefusedError("missing_member", f"{name} does not exist here", offset)
        function = undefined
    if function:
        return refuse_value(function.group(1))
    return RefusedError("failed", "a value in the condition cannot be read: is a number too large?")


def refuse_value(function: str) -> RefusedError:
    """For a function that got a value of a kind it does not take."""
    message = f"{function}() cannot take this value: it is empty (null) or of another kind"
    return RefusedError("wrong_kind", message)
