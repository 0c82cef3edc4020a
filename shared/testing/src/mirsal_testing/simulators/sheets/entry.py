"""What a cell becomes when a value is entered: as it is (RAW), or as a person had typed it.

USER_ENTERED follows a sheet of locale en_US: it is what mangles phone numbers and `1/2`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from mirsal_testing.simulators.sheets.dates import read_moment
from mirsal_testing.simulators.sheets.errors import MAX_CELL_CHARACTERS, invalid, too_long_cell
from mirsal_testing.simulators.sheets.formats import NumberFormat
from mirsal_testing.simulators.sheets.grid import Formula, Value

_NUMBER = re.compile(
    r"(?P<sign>[-+])?(?P<money>[$€£])?(?P<whole>\d{1,3}(?:,\d{3})+|\d+)?(?P<part>\.\d*)?"
    r"(?P<power>[eE][-+]?\d{1,3})?(?P<percent> ?%)?"
)
_FORMULA_SIGNS = ("+", "-")
_PLACES = re.compile(r"\d+\Z")


@dataclass(frozen=True, slots=True)
class Entry:
    """The value to store, None to empty the cell; and the format that the typing implies."""

    value: Value | None
    number_format: NumberFormat | None = None


def enter_raw(sent: object) -> Entry:
    """Raises GoogleError for what is no scalar, and for more than 50,000 characters."""
    if isinstance(sent, str):
        _check_length(sent)
        return Entry(sent or None)
    return Entry(_scalar(sent))


def enter_typed(sent: object) -> Entry:
    """As `enter_raw`, with texts interpreted."""
    if not isinstance(sent, str):
        return Entry(_scalar(sent))
    _check_length(sent)
    if not sent:
        return Entry(None)
    if sent.startswith("'"):
        return Entry(sent[1:] or None)
    if sent.startswith("=") and len(sent) > 1:
        return Entry(Formula(sent))
    typed = sent.strip()
    if typed.upper() in ("TRUE", "FALSE"):
        return Entry(typed.upper() == "TRUE")
    number = _read_number(typed)
    if number is not None:
        return number
    moment = read_moment(typed, datetime.now(UTC).date()) if typed else None
    if moment is not None:
        return Entry(tidy(moment[0]), NumberFormat(moment[1], moment[2]))
    if typed.startswith(_FORMULA_SIGNS) and len(typed) > 1:
        return Entry(Formula(f"={typed}"))
    return Entry(sent)


def _check_length(text: str) -> None:
    # Characters are UTF-16's here: an emoji is two.
    if len(text) <= MAX_CELL_CHARACTERS // 2:
        return
    if len(text.encode("utf-16-le", "surrogatepass")) // 2 > MAX_CELL_CHARACTERS:
        raise too_long_cell()


def _read_number(text: str) -> Entry | None:
    match = _NUMBER.fullmatch(text)
    if match is None or not (match["whole"] or (match["part"] or "")[1:]):
        return None
    digits = (match["whole"] or "0").replace(",", "")
    number = float(f"{digits}{match['part'] or ''}{match['power'] or ''}")
    if number == float("inf"):
        return None
    if match["sign"] == "-":
        number = -number
    if match["percent"]:
        return Entry(tidy(number / 100), _shown(match, "PERCENT", "0%", "0.00%"))
    if match["money"]:
        money = match["money"]
        return Entry(tidy(number), _shown(match, "CURRENCY", f"{money}#,##0", f"{money}#,##0.00"))
    if match["power"]:
        return Entry(tidy(number), NumberFormat("SCIENTIFIC", "0.00E+00"))
    if "," in (match["whole"] or ""):
        return Entry(tidy(number), _shown(match, "NUMBER", "#,##0", "#,##0.00"))
    return Entry(tidy(number))


def _shown(match: re.Match[str], kind: str, whole: str, broken: str) -> NumberFormat:
    has_places = _PLACES.search(match["part"] or "")
    return NumberFormat(kind, broken if has_places else whole)


def _scalar(sent: object) -> Value | None:
    if isinstance(sent, bool):
        return sent
    if isinstance(sent, (int, float)):
        return tidy(sent)
    raise invalid(f"Invalid value: {type(sent).__name__}")


def tidy(number: float) -> int | float:
    """A double, as Sheets has them all, shown without `.0` where it is whole."""
    double = float(number)
    return int(double) if double.is_integer() and abs(double) < 1e15 else double
