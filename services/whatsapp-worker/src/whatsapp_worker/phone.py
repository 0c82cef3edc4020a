"""Phone numbers as people write them, turned into what WhatsApp takes. Pure."""

import re

import phonenumbers
from mirsal_runtime.failures import PermanentError
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

MOST_CHARACTERS = 64
# Marks that come along when right-to-left text is copied, and that nobody sees.
_INVISIBLE = re.compile("[\u200b-\u200f\u061c\u202a-\u202e\u2060\u2066-\u2069\ufeff\u00ad]")
# `\d` is every script's digits: ٠١٢ and ۰۱۲ too.
_NUMBER = re.compile(r"[+\uff0b]?[\d\s().\u2010-\u2015\u00b7/-]+")
_FAULTS = {
    ValidationResult.INVALID_COUNTRY_CODE: "has no country code that exists",
    ValidationResult.TOO_SHORT: "is too short for its country",
    ValidationResult.TOO_LONG: "is too long for its country",
    ValidationResult.INVALID_LENGTH: "has not as many digits as its country uses",
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "lacks its area code",
}


def normalise_phone(text: str, region: str) -> str:
    """The digits of the international number (E.164 without its plus).

    `region` is the country of numbers without a country code; with an empty one they are
    refused, for a guess could message somebody else. Raises `PermanentError` (`invalid_phone`).
    """
    visible = _INVISIBLE.sub("", text).strip()
    if len(visible) > MOST_CHARACTERS or not _NUMBER.fullmatch(visible):
        raise _invalid("is not one phone number: write it as +966501234567")
    if visible.startswith("00") and not region:
        visible = "+" + visible[2:]
    if visible[0] not in "+\uff0b" and not region:
        raise _invalid(
            "has no country code: write it as +966501234567, or set the country of such "
            "numbers (MIRSAL_WHATSAPP_DEFAULT_REGION)"
        )
    try:
        number = phonenumbers.parse(visible, region or None)
    except NumberParseException as error:
        raise _invalid("is no phone number: write it as +966501234567") from error
    found = phonenumbers.is_possible_number_with_reason(number)
    if found in _FAULTS:
        raise _invalid(f"{_FAULTS[found]}: correct it, as in +966501234567")
    written = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    # Zeros that are no part of the number may be left: whoever reads it again gets another one,
    # which no list of addresses has.
    if written != visible and phonenumbers.parse(written) != number:
        raise _invalid("begins with zeros that its country does not use: write it as +966501234567")
    return written[1:]


def _invalid(fault: str) -> PermanentError:
    return PermanentError("invalid_phone", f"the recipient's number {fault}")
