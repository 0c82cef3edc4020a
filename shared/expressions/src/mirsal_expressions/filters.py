"""The filters a template may use; the list is closed. A filter takes the value and its arguments,
gives a value, and raises UnsuitableError with what to write instead, never with the value."""

import inspect
import json
import unicodedata
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from mirsal_expressions.dates import check_date_arguments, format_date
from mirsal_expressions.letter_case import lower_case, title_case, upper_case
from mirsal_expressions.members import Missing
from mirsal_expressions.numbers import check_number_arguments, format_number
from mirsal_expressions.unsuitable import UnsuitableError
from mirsal_expressions.values import text_of

_LENGTH_AT_MOST: Final = 100_000
_MARKS_SKIPPED: Final = 16


class Filter:
    """A filter with the names of its arguments, in order, and which of them it needs."""

    def __init__(
        self,
        name: str,
        apply: Callable[..., Any],
        *,
        takes_missing: bool = False,
        check: Callable[..., None] | None = None,
    ) -> None:
        parameters = list(inspect.signature(apply).parameters.values())[1:]
        self.name = name
        self.apply = apply
        self.takes_missing = takes_missing
        self.check = check
        self.parameters = tuple(parameter.name for parameter in parameters)
        self.required = tuple(
            parameter.name for parameter in parameters if parameter.default is parameter.empty
        )


def _default(value: object, fallback: object) -> object:
    """Missing, null and empty text give the fallback; 0 and false are values."""
    return fallback if type(value) is Missing or value is None or value == "" else value


def _upper(value: object, locale: object = None) -> str:
    return upper_case(_text(value), locale)


def _lower(value: object, locale: object = None) -> str:
    return lower_case(_text(value), locale)


def _title(value: object, locale: object = None) -> str:
    return title_case(_text(value), locale)


def _trim(value: object) -> str:
    return _text(value).strip()


def _truncate(value: object, length: object = 80, end: object = "…") -> str:
    text, ending = _text(value), _text(end)
    if type(length) is not int or not len(ending) <= length <= _LENGTH_AT_MOST:
        raise UnsuitableError(
            f"the length is a whole number of at most {_LENGTH_AT_MOST} with room for the ending"
        )
    if len(text) <= length:
        return text
    cut = length - len(ending)
    # A vowel sign or accent belongs to the letter before it.
    for _ in range(_MARKS_SKIPPED):
        if cut == 0 or not unicodedata.combining(text[cut]):
            break
        cut -= 1
    return text[:cut] + ending


def _join(value: object, separator: object = ", ") -> str:
    if value is None:
        return ""
    if not isinstance(value, (list, tuple)):
        raise UnsuitableError("takes a list")
    return _text(separator).join(_text(item) for item in value)


def _first(value: object) -> object:
    return _end_of(value, 0)


def _last(value: object) -> object:
    return _end_of(value, -1)


def _end_of(value: object, index: int) -> object:
    if value is None:
        return None
    if not isinstance(value, (list, tuple, str)):
        raise UnsuitableError("takes a list or a text")
    return value[index] if value else None


def _length(value: object) -> int:
    if value is None:
        return 0
    if not isinstance(value, (list, tuple, dict, str)):
        raise UnsuitableError("takes a list, an object or a text")
    return len(value)


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise UnsuitableError("takes plain JSON that is not nested too deeply") from None


def _urlencode(value: object) -> str:
    try:
        return quote(_text(value), safe="")
    except UnicodeEncodeError:
        raise UnsuitableError("the text holds half a character (a lone surrogate)") from None


def _text(value: object) -> str:
    text = text_of(value)
    if text is None:
        raise UnsuitableError("takes a single value, no list or object: use join or json")
    return text


FILTERS: Final[dict[str, Filter]] = {
    known.name: known
    for known in (
        Filter("date", format_date, check=check_date_arguments),
        Filter("default", _default, takes_missing=True),
        Filter("first", _first),
        Filter("join", _join),
        Filter("json", _json),
        Filter("last", _last),
        Filter("length", _length),
        Filter("lower", _lower),
        Filter("number", format_number, check=check_number_arguments),
        Filter("title", _title),
        Filter("trim", _trim),
        Filter("truncate", _truncate),
        Filter("upper", _upper),
        Filter("urlencode", _urlencode),
    )
}
