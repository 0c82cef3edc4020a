"""The functions that Mirsal adds to CEL, or has to put right."""

from collections.abc import Callable
from typing import Any, Final

from mirsal_expressions.letter_case import lower_case, upper_case


def _size(value: object) -> int:
    """Characters of a text (the library counts bytes), items of a list, members of an object."""
    if not isinstance(value, (str, list, dict)):
        raise TypeError("size takes a text, a list or an object")
    return len(value)


def _lower(value: object, locale: object = None) -> str:
    return lower_case(_text(value), locale)


def _upper(value: object, locale: object = None) -> str:
    return upper_case(_text(value), locale)


def _trim(value: object) -> str:
    return _text(value).strip()


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("the function takes a text")
    return value


# By the name that the condition is written anew with: the library's own size() cannot be replaced.
FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "mirsal_size": _size,
    "lower": _lower,
    "upper": _upper,
    "trim": _trim,
}
