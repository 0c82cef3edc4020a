"""How a value looks in a cell: numbers and dates by their pattern, else the automatic look."""

from __future__ import annotations

import functools
import re
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from mirsal_testing.simulators.sheets.dates import moment_of

if TYPE_CHECKING:
    from mirsal_testing.simulators.sheets.formats import NumberFormat

MOMENT_TYPES = frozenset({"DATE", "TIME", "DATE_TIME"})
DEFAULT_PATTERNS = {
    "NUMBER": "#,##0.00",
    "PERCENT": "0.00%",
    "CURRENCY": "$#,##0.00",
    "SCIENTIFIC": "0.00E+00",
    "DATE": "m/d/yyyy",
    "TIME": "h:mm:ss am/pm",
    "DATE_TIME": "m/d/yyyy h:mm:ss",
}
_MOMENT_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|(?P<noon>am/pm|a/p)|(?P<run>[yY]+|[mM]+|[dD]+|[hH]+|[sS]+)'
    r"|\.(?P<fraction>0+)|(?P<other>.)",
    re.IGNORECASE | re.DOTALL,
)
_NUMBER_PATTERN = re.compile(
    r"(?P<before>(?:\"[^\"]*\"|[^0#,.\"])*)(?P<whole>[0#,]*)(?:\.(?P<places>[0#]*))?"
    r"(?P<power>E\+0+)?(?P<after>.*)",
    re.DOTALL,
)


def show(value: str | int | float | bool, number_format: NumberFormat | None) -> str:
    """The text that a person sees in the cell."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return value
    if number_format is None or number_format.type in ("TEXT", "NUMBER_FORMAT_TYPE_UNSPECIFIED"):
        return show_number(value)
    pattern = number_format.pattern or DEFAULT_PATTERNS.get(number_format.type, "")
    if number_format.type in MOMENT_TYPES:
        return _show_moment(float(value), pattern)
    return _show_patterned(value, pattern) if pattern else show_number(value)


def show_number(number: int | float) -> str:
    """Without any format: up to 15 digits, in powers of ten where there are more."""
    if isinstance(number, int) and abs(number) < 10**15:
        return str(number)
    if number and not 1e-6 <= abs(number) < 1e15:
        digits, _, power = f"{number:.5E}".partition("E")
        if "." in digits:
            digits = digits.rstrip("0").rstrip(".")
        return f"{digits}E{power}"
    text = f"{Decimal(f'{number:.15g}'):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@functools.lru_cache(maxsize=512)
def _moment_tokens(pattern: str) -> tuple[tuple[str, str], ...]:
    """Kind and text of each; `m` is a month unless it stands by hours or seconds."""
    found: list[tuple[str, str]] = []
    for match in _MOMENT_TOKEN.finditer(pattern):
        kind = str(match.lastgroup)
        text = match[kind]
        found.append((text[0].lower() if kind == "run" else kind, text))
    runs = [index for index, (kind, _) in enumerate(found) if kind in "ymdhs"]
    for place, index in enumerate(runs):
        kind, text = found[index]
        before = found[runs[place - 1]][0] if place else ""
        after = found[runs[place + 1]][0] if place + 1 < len(runs) else ""
        if kind == "m" and len(text) <= 2 and (before == "h" or after == "s"):
            found[index] = ("minutes", text)
    return tuple(found)


def _show_moment(serial: float, pattern: str) -> str:
    moment = moment_of(serial)
    if moment is None:
        return show_number(serial)
    tokens = _moment_tokens(pattern)
    hour = moment.hour
    if any(kind == "noon" for kind, _ in tokens):
        hour = hour % 12 or 12
    parts = {
        "noon": "AM" if moment.hour < 12 else "PM",
        "h": str(hour),
        "minutes": str(moment.minute),
        "s": str(moment.second),
    }
    shown = []
    for kind, text in tokens:
        if kind in parts:
            width = 0 if kind == "noon" else min(len(text), 2)
            shown.append(parts[kind].zfill(width))
        elif kind == "y":
            shown.append(f"{moment:%Y}" if len(text) > 2 else f"{moment:%y}")
        elif kind == "m":
            shown.append(_named(text, moment.month, f"{moment:%b}", f"{moment:%B}"))
        elif kind == "d":
            shown.append(_named(text, moment.day, f"{moment:%a}", f"{moment:%A}"))
        elif kind == "fraction":
            shown.append(
                "." + f"{moment.microsecond // 1000:03}"[: len(text)].ljust(len(text), "0")
            )
        else:
            shown.append(text)
    return "".join(shown)


def _named(token: str, number: int, short: str, long: str) -> str:
    if len(token) >= 4:
        return long
    return short if len(token) == 3 else str(number).zfill(len(token))


def _show_patterned(value: int | float, pattern: str) -> str:
    sections = pattern.split(";")
    negative = value < 0
    if negative and len(sections) > 1:
        pattern, negative = sections[1], False
    else:
        pattern = sections[0]
    match = _NUMBER_PATTERN.fullmatch(pattern)
    if match is None or (not match["whole"] and match["places"] is None):
        return show_number(value)
    places = match["places"] or ""
    if match["power"]:
        digits, _, power = f"{abs(value):.{len(places)}E}".partition("E")
        number = f"{digits}E{power}"
    else:
        number = _show_digits(abs(value) * (100 if "%" in match["after"] else 1), match, places)
    text = f"{_bare(match['before'])}{number}{_bare(match['after'])}"
    return f"-{text}" if negative else text


def _show_digits(number: int | float, match: re.Match[str], places: str) -> str:
    rounded = Decimal(f"{number:.15g}").quantize(Decimal(1).scaleb(-len(places)), ROUND_HALF_UP)
    whole, _, part = f"{rounded:{',' if ',' in match['whole'] else ''}f}".partition(".")
    whole = whole.zfill(match["whole"].count("0"))
    if match["whole"].count("0") == 0 and whole == "0":
        whole = ""
    optional = len(places) - len(places.rstrip("#"))
    while optional and part.endswith("0"):
        part, optional = part[:-1], optional - 1
    return f"{whole}.{part}" if part else whole


def _bare(text: str) -> str:
    return text.replace('"', "").replace("\\", "")
