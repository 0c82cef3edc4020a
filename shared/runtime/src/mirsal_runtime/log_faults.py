"""What a log line says of an exception: what it is and where it came from, never its words.

An exception's words hold whatever was wrong: an address, a row, a secret in a URL. Only those of
`Told` exceptions are written, whose words are ours and about the installation.
"""

import errno
import logging
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from types import TracebackType
from typing import Any, Final

CAUSES: Final = 4
FRAMES: Final = 6
# Their words are of Kafka's brokers, topics and groups; never of what is in a record.
_PLAIN_LIBRARIES: Final = ("aiokafka",)


class Told(Exception):
    """An error whose words may be logged: they are ours, and hold nothing of customers."""


def name_fault(error: BaseException) -> str:
    """What went wrong, and what caused that: types and codes, `A < B(ECONNREFUSED)`."""
    return " < ".join(_name(each) for each in _chain(error))


def place_fault(error: BaseException) -> list[str]:
    """The last frames of where it came from, as `file.py:12 function`."""
    return _frames(error.__traceback__)


def replace_exc_info(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Say `error` and `at` in place of a traceback, whose last line is the error's words."""
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["error"] = error
        event["at"] = place_fault(error)
    return event


def tell_library(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A library's line: its text before formatting, and of its values only numbers and types."""
    record, values = event.get("_record"), event.pop("positional_args", None)
    if isinstance(record, logging.LogRecord):
        event["logger"] = record.name
        event["event"] = _text_of(record, values)
    return event


def _text_of(record: logging.LogRecord, values: object) -> str:
    if not isinstance(record.msg, str):
        return type(record.msg).__name__
    # asyncio's are formatted already, and have what failed in them: a call, a task, its error.
    text = record.msg.splitlines()[0].partition("(")[0] if record.name == "asyncio" else record.msg
    is_plain = record.name.startswith(_PLAIN_LIBRARIES)
    if not isinstance(values, tuple) or not values:
        return text
    try:
        return text % tuple(_value(each, is_plain=is_plain) for each in values)
    except (TypeError, ValueError):
        return text


def _value(value: object, *, is_plain: bool) -> object:
    if isinstance(value, BaseException):
        return name_fault(value)
    if isinstance(value, int | float) or is_plain:
        return value
    return f"<{type(value).__name__}>"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    for _ in range(CAUSES):
        if seen is None:
            return
        yield seen
        after = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
        if after is None and isinstance(seen, BaseExceptionGroup):
            after = seen.exceptions[0]
        seen = after


def _name(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, Told):
        return f"{name}: {error}"
    code = getattr(error, "sqlstate", None)
    if isinstance(error, OSError) and error.errno is not None:
        code = errno.errorcode.get(error.errno, error.errno)
    return f"{name}({code})" if isinstance(code, str | int) else name


def _frames(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)[-FRAMES:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
