"""Values of cells: from a rendered config to a typed value, and from that to RAW input. Pure."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, tzinfo
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from mirsal_contracts.nodes.google_sheets import CellType, CellValue
from mirsal_runtime.failures import PermanentError

from sheets_worker.errors import Code
from sheets_worker.rows import Value

RawCell: TypeAlias = str | int | float | bool | None

MOST_CHARACTERS = 50_000
# Numbers of a sheet are IEEE doubles: whole numbers beyond this lose digits.
LARGEST_WHOLE = 2**53
DAY_ZERO = date(1899, 12, 30)
DAY_SECONDS = 86_400
NUMBER_FORMATS: Final[Mapping[CellType, tuple[str, str]]] = {
    "date": ("DATE", "yyyy-mm-dd"),
    "datetime": ("DATE_TIME", "yyyy-mm-dd hh:mm:ss"),
}

# Arabic and Persian digits, and the Arabic signs for the decimal point, thousands and minus.
_DIGITS = str.maketrans("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹٫٬−", "01234567890123456789.,-")
_NUMBER = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)?(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)
_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_SURROGATES = re.compile("[\ud800-\udfff]")


def read_value(given: CellValue, kind: CellType | None, zone: tzinfo, *, column: str) -> Value:
    """A config's value, as its column's type wants it.

    Without a type a text stays a text, whatever it looks like, and a number a number; an empty
    text is no number, date or truth, so it gives an empty cell. Raises `PermanentError`.
    """
    if given is None:
        return None
    try:
        match kind:
            case None:
                return given if not isinstance(given, str) else _clean(given)
            case "text":
                return _clean(given if isinstance(given, str) else _text_of(given))
            case _ if given == "":
                return None
            case "number":
                return _number(given)
            case "boolean":
                return _truth(given)
            case "date":
                return _date(given, zone)
            case "datetime":
                return _datetime(given, zone)
    except (ValueError, OverflowError) as error:
        raise PermanentError(
            Code.INVALID_VALUE, f"the value of column {column!r} is no {kind}: {error}"
        ) from None


def raw_cell(value: Value) -> RawCell:
    """What RAW input takes for a value: dates as days since 1899-12-30.

    Empty is an empty text, which empties a cell. Raises `PermanentError` for a text that is
    longer than a cell holds.
    """
    if value is None:
        return ""
    if isinstance(value, datetime):
        moment = value.replace(tzinfo=None) - datetime.combine(DAY_ZERO, time())
        return moment.days + (moment.seconds + moment.microseconds / 1e6) / DAY_SECONDS
    if isinstance(value, date):
        return (value - DAY_ZERO).days
    if isinstance(value, str):
        if len(value) > MOST_CHARACTERS // 2 and _length(value) > MOST_CHARACTERS:
            raise PermanentError(
                Code.CELL_TOO_LONG,
                f"a text has {_length(value)} characters, a cell holds {MOST_CHARACTERS}",
            )
        return value
    if isinstance(value, bool):
        return value
    exact = abs(value) <= LARGEST_WHOLE if isinstance(value, int) else math.isfinite(value)
    return value if exact else str(value)


def zone_of(name: str | None) -> tzinfo:
    """The zone of a name; UTC without one. Raises `PermanentError`."""
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise PermanentError(
            "invalid_time_zone", f"{name!r} is no time zone such as Asia/Dubai"
        ) from error


def _length(text: str) -> int:
    """As Google counts: in UTF-16."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _clean(text: str) -> str:
    """Without what no cell can hold."""
    text = text.replace("\0", "")
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def _text_of(given: bool | float) -> str:
    if isinstance(given, bool):
        return "true" if given else "false"
    return str(int(given)) if isinstance(given, float) and given.is_integer() else str(given)


def _number(given: CellValue) -> int | float:
    if isinstance(given, bool):
        return int(given)
    if isinstance(given, str):
        text = given.strip().translate(_DIGITS)
        match = _NUMBER.fullmatch(text)
        if match is None or not (match[1] or match[3]):
            raise ValueError("write it as 1234.5")
        text = text.replace(",", "")
        number: int | float = float(text) if match[3] or match[4] else int(text)
    elif given is None:
        raise ValueError("it is empty")
    else:
        number = given
    if not math.isfinite(number) or (isinstance(number, int) and abs(number) > LARGEST_WHOLE):
        raise ValueError("it has more digits than a sheet's numbers hold; make it a text")
    return number


def _truth(given: CellValue) -> bool:
    if isinstance(given, bool):
        return given
    word = str(given).strip().translate(_DIGITS).lower()
    if word not in _TRUTHS:
        raise ValueError("write it as true or false")
    return _TRUTHS[word]


def _date(given: CellValue, zone: tzinfo) -> date:
    text = _stamp(given)
    return date.fromisoformat(text) if len(text) == 10 else _moment(text, zone).date()


def _datetime(given: CellValue, zone: tzinfo) -> datetime:
    text = _stamp(given)
    if len(text) == 10:
        return datetime.combine(date.fromisoformat(text), time(), zone)
    return _moment(text, zone)


def _stamp(given: CellValue) -> str:
    if not isinstance(given, str):
        raise ValueError("write it as 2025-03-05 or 2025-03-05T22:15:00Z")
    return given.strip().translate(_DIGITS)


def _moment(text: str, zone: tzinfo) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=zone)
    return moment.astimezone(zone)
