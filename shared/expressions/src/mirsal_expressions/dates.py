"""The `date` filter: RFC 3339 texts and dates in any zone, in four languages, never the machine's.
A zone is read from the machine's time-zone database when first used, and kept."""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from mirsal_expressions.calendar_names import NAMES, CalendarNames
from mirsal_expressions.numbers import DIGITS, check_digits
from mirsal_expressions.unsuitable import UnsuitableError

_WRITTEN: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d\d:\d\d)?)?", re.ASCII
)
_DIRECTIVE: Final = re.compile(r"%(-?)(.?)", re.DOTALL)
_PADDED: Final = {"Y": 4, "y": 2, "m": 2, "d": 2, "H": 2, "I": 2, "M": 2, "S": 2, "j": 3}
_WORDS: Final = frozenset("BbAapzZ%")
_FORMAT_LENGTH: Final = 200
_ZONE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")
_ZONE_NAME_LENGTH: Final = 64


def format_date(
    value: object,
    format: object = "%Y-%m-%d",  # noqa: A002  # the argument's name in templates
    timeZone: object = None,  # noqa: N803  # names in templates are the wire's
    locale: object = None,
    digits: object = "latn",
) -> str:
    """A date or time as text, `2025-03-05` unless a format is given.

    format: %Y %y %m %d %j %H %I %M %S %p %B %b %A %a %z %Z %%; `%-d` leaves out leading zeros.
    timeZone: an IANA name; without it a time stays in the zone it was written in. A text without
    a zone is UTC. A date without a time is the same day everywhere.
    locale: language of the names: en, ar, fa, tr; another language gives English. Null gives "".
    """
    check_date_arguments(format=format, timeZone=timeZone, locale=locale, digits=digits)
    if value is None:
        return ""
    moment = _read_moment(value)
    if isinstance(moment, datetime) and isinstance(timeZone, str):
        try:
            moment = moment.astimezone(_load_zone(timeZone))
        except OverflowError:
            raise UnsuitableError("the time is out of range in this zone") from None
    names = _names_of(locale)

    def write(match: re.Match[str]) -> str:
        return _write_directive(moment, match.group(2), match.group(1) == "-", names)

    text = _DIRECTIVE.sub(write, str(format))
    table = DIGITS[str(digits)]
    return text.translate(table) if table else text


def check_date_arguments(
    format: object = "%Y-%m-%d",  # noqa: A002  # as in format_date
    timeZone: object = None,  # noqa: N803  # as in format_date
    locale: object = None,
    digits: object = "latn",
) -> None:
    """Raises UnsuitableError for arguments that no date could be formatted with."""
    if not isinstance(format, str) or len(format) > _FORMAT_LENGTH:
        raise UnsuitableError('the format is a text such as "%d/%m/%Y"')
    for match in _DIRECTIVE.finditer(format):
        flag, letter = match.groups()
        if letter not in _PADDED and (flag or letter not in _WORDS):
            known = " ".join(f"%{name}" for name in [*_PADDED, *sorted(_WORDS)])
            raise UnsuitableError(f"the format has no {match.group()}; it has {known}")
    if timeZone is not None:
        if not isinstance(timeZone, str):
            raise UnsuitableError('timeZone is a name such as "Asia/Dubai"')
        _load_zone(timeZone)
    if locale is not None and not isinstance(locale, str):
        raise UnsuitableError('locale is a language such as "ar"')
    check_digits(digits)


def _read_moment(value: object) -> date | datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return value
    if isinstance(value, str):
        written = value.strip()
        if _WRITTEN.fullmatch(written):
            try:
                if len(written) == len("2025-03-05"):
                    return date.fromisoformat(written)
                moment = datetime.fromisoformat(written.upper())
                return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            except ValueError:
                raise UnsuitableError("there is no such date or time") from None
    raise UnsuitableError("takes a date such as 2025-03-05 or a time such as 2025-03-05T14:30:00Z")


@lru_cache(maxsize=256)
def _load_zone(name: str) -> tzinfo:
    if len(name) <= _ZONE_NAME_LENGTH and _ZONE_NAME.fullmatch(name):
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            pass
    raise UnsuitableError('the time zone is not known: use a name such as "Asia/Dubai"')


def _names_of(locale: object) -> CalendarNames:
    language = str(locale or "en").replace("_", "-").partition("-")[0].lower()
    return NAMES.get(language, NAMES["en"])


def _write_directive(
    moment: date | datetime, letter: str, unpadded: bool, names: CalendarNames
) -> str:
    if letter in _PADDED:
        number = str(_number_of(moment, letter))
        return number if unpadded else number.zfill(_PADDED[letter])
    if letter == "%":
        return "%"
    if letter in "Bb":
        return (names.months if letter == "B" else names.short_months)[moment.month - 1]
    if letter in "Aa":
        return (names.days if letter == "A" else names.short_days)[moment.weekday()]
    if not isinstance(moment, datetime):
        return names.half_days[0] if letter == "p" else ""
    if letter == "p":
        return names.half_days[moment.hour // 12]
    if letter == "Z":
        return moment.tzname() or ""
    return _write_offset(moment)


def _write_offset(moment: datetime) -> str:
    offset = moment.utcoffset() or timedelta()
    minutes = abs(offset) // timedelta(minutes=1)
    return f"{'-' if offset < timedelta() else '+'}{minutes // 60:02}:{minutes % 60:02}"


def _number_of(moment: date | datetime, letter: str) -> int:
    if letter in "HIMS":
        if not isinstance(moment, datetime):
            return 12 if letter == "I" else 0
        hour = moment.hour % 12 or 12
        return {"H": moment.hour, "I": hour, "M": moment.minute, "S": moment.second}[letter]
    if letter == "j":
        return moment.timetuple().tm_yday
    return {"Y": moment.year, "y": moment.year % 100, "m": moment.month, "d": moment.day}[letter]
