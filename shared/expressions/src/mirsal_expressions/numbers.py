"""The `number` filter: separators, decimals and digits, never the machine's locale."""

import math
import re
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

from mirsal_expressions.unsuitable import UnsuitableError

DIGITS: Final = {
    "latn": None,
    "arab": str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"),
    "arabext": str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"),
}
_SEPARATORS: Final = {"latn": (",", "."), "arab": ("٬", "٫"), "arabext": ("٬", "٫")}
_WRITTEN: Final = re.compile(r"[+-]?\d{1,64}(?:[.٫]\d{1,64})?")
_DECIMALS_AT_MOST: Final = 20
_SEPARATOR_LENGTH: Final = 3
_INT_BITS_LIMIT: Final = 1024
_EXACT: Final = Context(prec=400, rounding=ROUND_HALF_UP)


def format_number(
    value: object,
    decimals: object = None,
    digits: object = "latn",
    thousands: object = None,
    point: object = None,
) -> str:
    """`1234.5` as `1,234.5`; with decimals=2 `1,234.50` (half rounds away from zero).

    digits: latn, arab (١٢٣, with ٬ and ٫) or arabext (۱۲۳). thousands and point replace the
    separators; thousands "" leaves them out. Null gives an empty text.
    """
    check_number_arguments(decimals=decimals, digits=digits, thousands=thousands, point=point)
    if value is None:
        return ""
    number = _read_number(value)
    if isinstance(decimals, int):
        number = number.quantize(Decimal(1).scaleb(-decimals), context=_EXACT)
    if number.is_zero():
        number = abs(number)
    known = digits if isinstance(digits, str) else "latn"
    comma, dot = _SEPARATORS[known]
    text = f"{number:,f}".translate(
        {
            ord(","): thousands if isinstance(thousands, str) else comma,
            ord("."): point if isinstance(point, str) else dot,
        }
    )
    table = DIGITS[known]
    return text.translate(table) if table else text


def check_number_arguments(
    decimals: object = None,
    digits: object = "latn",
    thousands: object = None,
    point: object = None,
) -> None:
    """Raises UnsuitableError for arguments that no number could be formatted with."""
    whole = type(decimals) is int and 0 <= decimals <= _DECIMALS_AT_MOST
    if decimals is not None and not whole:
        raise UnsuitableError(f"decimals is a whole number from 0 to {_DECIMALS_AT_MOST}")
    check_digits(digits)
    for separator in (thousands, point):
        if separator is not None and (
            not isinstance(separator, str) or len(separator) > _SEPARATOR_LENGTH
        ):
            raise UnsuitableError('thousands and point are short texts, for example thousands="."')


def check_digits(digits: object) -> None:
    """Raises UnsuitableError unless `digits` names a known set of digits."""
    if not isinstance(digits, str) or digits not in DIGITS:
        raise UnsuitableError('digits is "latn" (123), "arab" (١٢٣) or "arabext" (۱۲۳)')


def _read_number(value: object) -> Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        if value.bit_length() <= _INT_BITS_LIMIT:
            return Decimal(value)
    elif isinstance(value, float):
        if value.is_integer():
            return Decimal(int(value))
        if math.isfinite(value):
            return Decimal(repr(value))
    elif isinstance(value, Decimal):
        if value.is_finite() and abs(value.adjusted()) < _EXACT.prec // 2:
            return value
    elif isinstance(value, str):
        written = value.strip()
        if _WRITTEN.fullmatch(written):
            return Decimal(written.replace("٫", "."))
    raise UnsuitableError('takes a number, or a text such as "1234.5"')
