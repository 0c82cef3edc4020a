"""Mailboxes as authors and leads write them, checked before any library sees them. Pure."""

import re
from typing import NamedTuple

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from mirsal_runtime.failures import PermanentError

MOST_CHARACTERS = 1_000
# Which domains can be reached is the mail server's to say: companies use `.local`, tests `.test`.
SPECIAL_USE_DOMAIN_NAMES.clear()
# What ends a line somewhere, or what no person types: C0, DEL, C1, and Unicode's line separators.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
# Marks that come along when right-to-left text is copied, and that nobody sees.
_AROUND = " \t\u00a0\u200b\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff"
_INVISIBLE_ENDS = re.compile(f"^[{_AROUND}]+|[{_AROUND}]+$")
_NAMED = re.compile(r'(?P<name>"(?:[^"\\]|\\.)*"|[^"<>@,;:\\]*)\s*<(?P<address>[^<>]*)>')


class Mailbox(NamedTuple):
    """A checked address: its domain is ASCII (IDNA), its local part as written."""

    name: str
    address: str


def refuse_control_characters(text: str, field: str) -> None:
    """Raises `PermanentError` (`invalid_header`) for what could end a line of a header."""
    found = _CONTROL.search(text)
    if found:
        raise PermanentError(
            "invalid_header",
            f"{field} holds the control character U+{ord(found[0]):04X}: remove it "
            "(line breaks and NUL have no place in a header or an address)",
        )


def parse_mailbox(text: str, field: str) -> Mailbox:
    """Read one `user@domain` or `Name <user@domain>`.

    Raises `PermanentError` (`invalid_header` or `invalid_address`) that names `field` and says
    what to do.
    """
    refuse_control_characters(text, field)
    if len(text) > MOST_CHARACTERS:
        raise _invalid(field, f"is longer than {MOST_CHARACTERS} characters")
    text = _INVISIBLE_ENDS.sub("", text)
    name, address = "", text
    if "<" in text or ">" in text:
        named = _NAMED.fullmatch(text)
        if named is None:
            raise _invalid(field, "must be one address: user@domain or Name <user@domain>")
        name, address = _unquoted(named["name"].strip()), named["address"]
    if any(mark in address for mark in ",;") or address.count("@") > 1:
        raise _invalid(field, "holds more than one address: give one, and lists as lists")
    return Mailbox(name, _checked(address, field))


def _checked(address: str, field: str) -> str:
    try:
        valid = validate_email(
            address,
            allow_smtputf8=True,
            allow_quoted_local=False,
            allow_domain_literal=False,
            allow_display_name=False,
            strict=True,
            check_deliverability=False,
            globally_deliverable=False,
        )
    except EmailNotValidError as error:
        raise _invalid(field, f"is not an e-mail address. {error}") from error
    return f"{valid.local_part}@{valid.ascii_domain}"


def _unquoted(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name[1:-1]) if name.startswith('"') else name


def _invalid(field: str, fault: str) -> PermanentError:
    return PermanentError("invalid_address", f"{field} {fault}")
