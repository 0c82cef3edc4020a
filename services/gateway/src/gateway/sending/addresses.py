"""Addresses in the form in which connectors compare them, and as they may be shown. Pure."""

import re
from typing import Final

from email_validator import EmailNotValidError, validate_email

from gateway.leads.contact import normalise_phone
from gateway.sending.schemas import Channel

_E164: Final = re.compile(r"\+[1-9][0-9]{4,14}")
_LONG_NUMBER: Final = 9


def read_address(channel: Channel, text: str) -> str:
    """The address as `mirsal_runtime.vault.address_index` has it. Raises `ValueError`.

    A number has its country code: here nobody knows which country an account takes others for.
    """
    return _read_email(text) if channel == "email" else _read_phone(text)


def mask_address(channel: Channel, address: str) -> str:
    """So much as a person needs to recognise it, and no more."""
    if channel == "email":
        local, _, domain = address.rpartition("@")
        return f"{local[:1]}…@{domain}"
    if len(address) < _LONG_NUMBER:
        return f"{address[:2]}…"
    return f"{address[:4]}…{address[-2:]}"


def _read_email(text: str) -> str:
    """With its domain in ASCII: a mail's recipients have it so when they are compared."""
    try:
        found = validate_email(text.strip(), check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise ValueError(f"is not an e-mail address: {error}") from error
    return f"{found.local_part}@{found.ascii_domain}"


def _read_phone(text: str) -> str:
    number = normalise_phone(text, None)
    if not _E164.fullmatch(number):
        raise ValueError("is not a whole number: write it with its country code, as +966501234567")
    return number
