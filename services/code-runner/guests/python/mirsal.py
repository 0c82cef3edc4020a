"""What Mirsal gives to code inside the box: phone numbers, dates, Arabic text and digits.

`guests/javascript/mirsal.js` is the same in JavaScript; `tests/data/helpers.json` holds both to it.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

__all__ = [
    "normalise_arabic",
    "normalise_phone",
    "parse_date",
    "to_arabic_digits",
    "to_ascii_digits",
]

_INVISIBLE = re.compile("[\u200b-\u200f\u061c\u202a-\u202e\u2060\u2066-\u2069\ufeff\u00ad]")
_ARABIC_DIGITS = "٠١٢٣٤٥٦٧٨٩"
_TO_ASCII = {ord(each): str(index) for index, each in enumerate(_ARABIC_DIGITS)}
_TO_ASCII |= {ord(each): str(index) for index, each in enumerate("۰۱۲۳۴۵۶۷۸۹")}
_TO_ASCII |= {ord("٫"): ".", ord("٬"): ","}
_TO_ARABIC = {ord(str(index)): each for index, each in enumerate(_ARABIC_DIGITS)}
_MARKS = re.compile("[\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0640]")
_LETTERS = str.maketrans("أإآٱىؤئ", "اااايوي")

_PHONE_FAULTS = {
    ValidationResult.INVALID_COUNTRY_CODE: "has no country code that exists",
    ValidationResult.TOO_SHORT: "is too short for its country",
    ValidationResult.TOO_LONG: "is too long for its country",
    ValidationResult.INVALID_LENGTH: "has not as many digits as its country uses",
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "lacks its area code",
}
_NO_PHONE = "not one phone number: write it as +966501234567"

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan يناير جانفي كانون_الثاني ocak",
            "february feb فبراير فيفري شباط şubat",
            "march mar مارس آذار mart",
            "april apr أبريل ابريل أفريل نيسان nisan",
            "may مايو ماي أيار ايار mayıs",
            "june jun يونيو يونيه جوان حزيران haziran",
            "july jul يوليو يوليه جويلية تموز temmuz",
            "august aug أغسطس اغسطس أوت آب ağustos",
            "september sep sept سبتمبر أيلول ايلول eylül",
            "october oct أكتوبر اكتوبر تشرين_الأول ekim",
            "november nov نوفمبر تشرين_الثاني kasım",
            "december dec ديسمبر كانون_الأول aralık",
        ),
        start=1,
    )
    for name in names.split()
}
_CLOCK = (
    r"(?:[T ,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?"
    r"\s*(?P<half>am|pm|ص|م)?\s*(?P<zone>Z|[+-]\d{2}:?\d{2})?)?"
)
_ISO = re.compile(
    r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})" + _CLOCK, re.IGNORECASE
)
_NUMBERS = re.compile(
    r"(?P<first>\d{1,2})[-/.](?P<second_>\d{1,2})[-/.](?P<year>\d{4})" + _CLOCK, re.IGNORECASE
)
_NAMED = re.compile(
    r"(?P<day>\d{1,2})[ -](?P<name>[^\W\d]+(?: ال[^\W\d]+)?)[ ,-]+(?P<year>\d{4})" + _CLOCK,
    re.IGNORECASE,
)
_NAME_FIRST = re.compile(
    r"(?P<name>[^\W\d]+) (?P<day>\d{1,2}),? (?P<year>\d{4})" + _CLOCK, re.IGNORECASE
)


def to_ascii_digits(text: str) -> str:
    """Arabic and Persian digits as 0-9, `٫` as a point and `٬` as a comma."""
    return str(text).translate(_TO_ASCII)


def to_arabic_digits(text: str) -> str:
    """0-9 as ٠-٩."""
    return str(text).translate(_TO_ARABIC)


def normalise_arabic(text: str) -> str:
    """Text to search and compare by: no vowel marks or tatweel, one alef, one ya, ASCII digits."""
    plain = _MARKS.sub("", _INVISIBLE.sub("", str(text))).translate(_LETTERS)
    return " ".join(to_ascii_digits(plain).split())


def normalise_phone(text: str, region: str = "") -> str:
    """The number as +<country><number>. `region` (SA, EG) is the country of numbers without one.

    Raises ValueError for what is no phone number, by libphonenumber's table of all countries.
    """
    visible = to_ascii_digits(_INVISIBLE.sub("", str(text))).strip().replace("\uff0b", "+")
    if len(visible) > 64 or not re.fullmatch(r"\+?[0-9\s().\u2010-\u2015\u00b7/-]+", visible):
        raise ValueError(_NO_PHONE)
    country = str(region).upper()
    if not visible.startswith("+") and country not in phonenumbers.SUPPORTED_REGIONS:
        if not visible.startswith("00"):
            raise ValueError(
                "the number has no country code: write it as +966501234567, or give a region"
            )
        visible = "+" + visible[2:]
    try:
        number = phonenumbers.parse(visible, country or None)
    except NumberParseException as error:
        raise ValueError(_NO_PHONE) from error
    found = phonenumbers.is_possible_number_with_reason(number)
    if found in _PHONE_FAULTS:
        raise ValueError(f"the number {_PHONE_FAULTS[found]}: write it as +966501234567")
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def parse_date(text: str, *, day_first: bool = True) -> str:
    """A date as people write it, as 2026-03-12, or 2026-03-12T14:30:00 where it has a time.

    Numbers like 3/12/2026 are day first unless told otherwise. Raises ValueError for what is no
    date.
    """
    plain = " ".join(to_ascii_digits(_INVISIBLE.sub("", str(text))).replace("،", ",").split())
    for pattern in (_ISO, _NUMBERS, _NAMED, _NAME_FIRST):
        found = pattern.fullmatch(plain)
        if found is not None:
            return _written(found.groupdict(), day_first)
    raise ValueError("not a date: write it as 2026-03-12 or 12/3/2026")


def _written(parts: dict, day_first: bool) -> str:
    if "first" in parts:
        pair = (parts["first"], parts["second_"])
        day, month = pair if day_first else pair[::-1]
    else:
        day = parts["day"]
        month = parts.get("month") or _MONTHS.get(parts["name"].lower().replace(" ", "_"))
        if month is None:
            raise ValueError(f"{parts['name']} is not a month")
    found = date(int(parts["year"]), int(month), int(day))
    if parts["hour"] is None:
        return found.isoformat()
    hour = int(parts["hour"])
    if parts["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("the hour must be 1 to 12 with am or pm")
        hour = hour % 12 + (12 if parts["half"].lower() in ("pm", "م") else 0)
    zone = parts["zone"]
    offset = None
    if zone:
        sign = -1 if zone[0] == "-" else 1
        bare = zone[1:].replace(":", "")
        offset = (
            UTC
            if zone in "Zz"
            else timezone(sign * timedelta(hours=int(bare[:2]), minutes=int(bare[2:])))
        )
    return datetime(
        found.year,
        found.month,
        found.day,
        hour,
        int(parts["minute"]),
        int(parts["second"] or 0),
        tzinfo=offset,
    ).isoformat()
