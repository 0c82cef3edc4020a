"""Phone numbers and e-mail addresses, checked and put into one form. Pure."""

import re

import phonenumbers
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

# Which domains can be reached is the mail server's to say: companies use `.local`, tests `.test`.
SPECIAL_USE_DOMAIN_NAMES.clear()
_PHONE = re.compile(r"[+\uff0b]?[\d\s().\-/]*")
# What is copied along with a number out of text that runs from right to left.
_DIRECTION_MARKS = re.compile(r"[\u061c\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_LEAST_DIGITS = 3
_MOST_CHARACTERS = 40
_REGION = re.compile(r"[-_]([A-Za-z]{2})(?:[-_]|$)")


def blank_is_nothing(value: object) -> object:
    """None for a blank text: an empty field of a form says that there is no address."""
    return None if isinstance(value, str) and not value.strip() else value


def normalise_phone(text: str, region: str | None) -> str:
    """The number in E.164 where it can be told, else as it was given, without spaces around it.

    `region` (ISO 3166) is where a number without a country code belongs. Raises `ValueError` for
    what is no phone number at all.
    """
    text = _DIRECTION_MARKS.sub("", text).strip()
    digits = sum(character.isdecimal() for character in text)
    # Checked first: the library reads letters as the keys of a telephone.
    if len(text) > _MOST_CHARACTERS or digits < _LEAST_DIGITS or not _PHONE.fullmatch(text):
        raise ValueError("is not a phone number: write it with its country code, as +966501234567")
    try:
        parsed = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return text
    if not phonenumbers.is_possible_number(parsed):
        return text
    written = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    # With zeros that are no part of it, the next reader would make another number of it.
    return written if written == text or phonenumbers.parse(written) == parsed else text


def normalise_email(text: str) -> str:
    """The address with its domain in lower case. Raises `ValueError`; asks no server."""
    try:
        checked = validate_email(
            text.strip(), check_deliverability=False, globally_deliverable=False
        )
    except EmailNotValidError as error:
        raise ValueError(f"is not an e-mail address: {error}") from error
    return checked.normalized


def plus_of_query(text: str) -> str:
    """What a caller meant who did not escape a `+` in a query, where it stands for a space."""
    stripped = text.strip()
    if "@" in stripped:
        return stripped.replace(" ", "+")
    begins_abroad = stripped[:1].isdecimal() and not stripped.startswith("0")
    return f"+{stripped}" if text.startswith(" ") and begins_abroad else stripped


def region_of(locale: str | None) -> str | None:
    """The country that a locale names: `ar-EG` is in EG; None where it names none."""
    found = _REGION.search(locale or "")
    return found.group(1).upper() if found else None
