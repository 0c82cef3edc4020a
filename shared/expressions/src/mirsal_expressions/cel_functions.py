"""The functions that Mirsal adds to CEL, or has to put right."""

from collections.abc import Callable
from typing import Any

from mirsal_expressions.letter_case import lower_case, upper_case


class Functions:
    """The functions of one evaluation. Each notes a value it cannot take and goes on.

    It raises nothing, because the library writes each exception to the log, for any author to fill.
    """

    def __init__(self) -> None:
        self.refused: str | None = None

    def named(self, names: frozenset[str]) -> dict[str, Callable[..., Any]]:
        return {name: getattr(self, _METHODS[name]) for name in names if name in _METHODS}

    def size(self, *values: object) -> int:
        """Characters of a text (the library counts bytes), items of a list, or members."""
        match values:
            case [str() | list() | dict() as value]:
                return len(value)
        self.refused = "size"
        return 0

    def lower(self, *values: object) -> str:
        return self._change("lower", lower_case, *values)

    def upper(self, *values: object) -> str:
        return self._change("upper", upper_case, *values)

    def trim(self, *values: object) -> str:
        return self._change("trim", str.strip, *values)

    def _change(self, name: str, change: Callable[..., str], *values: object) -> str:
        match values:
            case [str(text)]:
                return change(text)
            case [str(text), str(locale)] if name != "trim":
                return change(text, locale)
        self.refused = name
        return ""


# By the name that the condition is written anew with: the library's own size() cannot be replaced.
_METHODS = {"mirsal_size": "size", "lower": "lower", "upper": "upper", "trim": "trim"}
