"""Whether BigQuery takes a JSON value for a column of a type: pure, one function for each type.

Where Google converts (a number for a STRING, text for a FLOAT), the value comes back converted.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, TypeAlias

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

LARGEST_INTEGER = 2**63 - 1
LARGEST_NUMERIC = Decimal(10) ** 29
NUMERIC_SCALE = Decimal("1e-9")
ZONE = re.compile(r"(?:Z|z| ?UTC|[+-]\d\d(?::?\d\d)?)$", re.ASCII)
NOT_FINITE = frozenset({"nan", "inf", "-inf", "infinity", "-infinity", "+inf", "+infinity"})


class Misfit(ValueError):
    """Google's own words on why a value does not fit its column."""


def convert(value: Json, kind: str, name: str) -> Json:
    """The value as it is stored. Raises Misfit. Types without a check are taken as they are."""
    if value is None:
        return None
    check = CHECKS.get(kind.upper())
    if check is None:
        return value
    if isinstance(value, list):
        raise Misfit(f"Array specified for non-repeated field: {name}.")
    if isinstance(value, dict):
        raise Misfit(f"This field: {name} is not a record.")
    return check(value)


def _bad(kind: str, value: Json) -> Misfit:
    return Misfit(f"Cannot convert value to {kind} (bad value): {_shown(value)}")


def _shown(value: Json) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _string(value: Json) -> Json:
    return _shown(value)


def _integer(value: Json) -> Json:
    number: int
    if isinstance(value, bool):
        raise _bad("integer", value)
    if isinstance(value, float):
        if not value.is_integer():
            raise _bad("integer", value)
        number = int(value)
    else:
        try:
            number = int(str(value).strip())
        except ValueError:
            raise _bad("integer", value) from None
    if not -LARGEST_INTEGER - 1 <= number <= LARGEST_INTEGER:
        raise _bad("integer", value)
    return number


def _float(value: Json) -> Json:
    if isinstance(value, bool):
        raise _bad("float", value)
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        raise _bad("float", value) from None
    if not math.isfinite(number) and text.lower() not in NOT_FINITE:
        raise _bad("float", value)
    return number if math.isfinite(number) else text


def _numeric(value: Json) -> Json:
    try:
        number = Decimal(str(value).strip())
        fits = number.is_finite() and abs(number) < LARGEST_NUMERIC
    except InvalidOperation:
        fits = False
    if isinstance(value, bool) or not fits:
        raise Misfit(f"Invalid NUMERIC value: {_shown(value)}")
    return format(number.quantize(NUMERIC_SCALE), "f")


def _boolean(value: Json) -> Json:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise _bad("boolean", value)


def _date(value: Json) -> Json:
    try:
        return date.fromisoformat(_text(value)).isoformat()
    except ValueError:
        raise Misfit(f"Invalid date: '{_shown(value)}'") from None


def _time(value: Json) -> Json:
    try:
        return time.fromisoformat(_text(value)).isoformat()
    except ValueError:
        raise Misfit(f"Invalid time string '{_shown(value)}'") from None


def _datetime(value: Json) -> Json:
    try:
        moment = datetime.fromisoformat(_text(value))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is not None:
        raise Misfit(f'Invalid datetime string "{_shown(value)}"')
    return moment.isoformat()


def _timestamp(value: Json) -> Json:
    """Text with or without a zone (then UTC), or seconds since 1970."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            moment = datetime.fromtimestamp(value, UTC)
        else:
            text = _text(value).strip()
            zone = ZONE.search(text)
            if zone is not None and zone[0].strip().upper() in ("Z", "UTC"):
                text = text[: zone.start()] + "+00:00"
            moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        raise Misfit(
            f"Could not parse '{_shown(value)}' as a timestamp. Required format is "
            "YYYY-MM-DD HH:MM[:SS[.SSSSSS]]"
        ) from None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat()


def _bytes(value: Json) -> Json:
    try:
        return base64.b64encode(base64.b64decode(_text(value), validate=True)).decode()
    except (ValueError, binascii.Error):
        raise Misfit("Could not decode base64 string to bytes.") from None


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise ValueError("no text")
    return value


CHECKS: dict[str, Callable[[Json], Json]] = {
    "STRING": _string,
    "INTEGER": _integer,
    "INT64": _integer,
    "FLOAT": _float,
    "FLOAT64": _float,
    "NUMERIC": _numeric,
    "BOOLEAN": _boolean,
    "BOOL": _boolean,
    "DATE": _date,
    "TIME": _time,
    "DATETIME": _datetime,
    "TIMESTAMP": _timestamp,
    "BYTES": _bytes,
}
