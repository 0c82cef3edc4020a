"""How one JSON value is written into a message."""

from datetime import date
from decimal import Decimal
from uuid import UUID

_WHOLE_FLOAT_LIMIT = 1e15
_INT_BITS_LIMIT = 4096  # well under what Python refuses to write as text


def text_of(value: object) -> str | None:
    """The value as text: null is empty, true and false in lower case, 20.0 is 20, dates in ISO.

    None for what has no text of its own: lists, objects and unknown types.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value.bit_length() <= _INT_BITS_LIMIT else None
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < _WHOLE_FLOAT_LIMIT
        return str(int(value)) if whole else repr(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (Decimal, UUID)):
        return str(value)
    return None
