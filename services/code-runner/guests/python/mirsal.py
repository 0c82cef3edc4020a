"""What Mirsal gives to code inside the box: phone numbers, dates, Arabic text and digits.

`guests/javascript/mirsal.js` is the same in JavaScript; `tests/data/helpers.json` holds both to it.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone

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

# Country code, and how many digits a national number has (without its leading 0).
_COUNTRIES = {
    "AE": ("971", 8, 9), "BH": ("973", 8, 8), "DE": ("49", 6, 13), "DZ": ("213", 8, 9),
    "EG": ("20", 8, 10), "FR": ("33", 9, 9), "GB": ("44", 9, 10), "IN": ("91", 10, 10),
    "IQ": ("964", 8, 10), "IR": ("98", 10, 10), "JO": ("962", 8, 9), "KW": ("965", 7, 8),
    "LB": ("961", 7, 8), "LY": ("218", 8, 9), "MA": ("212", 9, 9), "OM": ("968", 7, 8),
    "PK": ("92", 9, 10), "PS": ("970", 8, 9), "QA": ("974", 7, 8), "SA": ("966", 8, 9),
    "SD": ("249", 9, 9), "SY": ("963", 8, 9), "TN": ("216", 8, 8), "TR": ("90", 10, 10),
    "US": ("1", 10, 10), "YE": ("967", 7, 9),
}  # fmt: skip

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

    Raises ValueError for what is no phone number.
    """
    visible = to_ascii_digits(_INVISIBLE.sub("", str(text))).strip().replace("\uff0b", "+")
    if len(visible) > 64 or not re.fullmatch(r"\+?[0-9\s().\u2010-\u2015/-]+", visible):
        raise ValueError("not one phone number: write it as +966501234567")
    digits = re.sub(r"\D", "", visible)
    if visible.startswith("+"):
        return _international(digits)
    if digits.startswith("00"):
        return _international(digits[2:])
    country = _COUNTRIES.get(str(region).upper())
    if country is None:
        raise ValueError(
            "the number has no country code: write it as +966501234567, or give a region"
        )
    code, shortest, longest = country
    national = digits.lstrip("0")
    if not shortest <= len(national) <= longest:
        raise ValueError("the number has not as many digits as its country uses")
    return f"+{code}{national}"


def _international(digits: str) -> str:
    for code, shortest, longest in _COUNTRIES.values():
        if digits.startswith(code):
            national = digits[len(code) :].removeprefix("0")
            if shortest <= len(national) <= longest:
                return f"+{code}{national}"
            raise ValueError("the number has not as many digits as its country uses")
    if not 7 <= len(digits) <= 15 or digits.startswith("0"):
        raise ValueError("not a phone number: write it as +966501234567")
    return f"+{digits}"


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
