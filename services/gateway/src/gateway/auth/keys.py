"""The form of API keys: made, recognised, and turned into what the database keeps. No I/O."""

import hmac
import secrets
import zlib
from typing import Final

from pydantic import SecretStr

PREFIX: Final = "mk_"
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_BYTES: Final = 32
_SECRET_DIGITS: Final = 43
_CHECK_DIGITS: Final = 6
_LENGTH: Final = len(PREFIX) + _SECRET_DIGITS + _CHECK_DIGITS
HINT_CHARACTERS: Final = len(PREFIX) + 6


def generate_key() -> str:
    """A new key: a prefix that secret scanners know, 256 random bits, a checksum."""
    secret = _in_digits(int.from_bytes(secrets.token_bytes(_SECRET_BYTES)), _SECRET_DIGITS)
    return PREFIX + secret + _checksum(secret)


def is_key(text: str) -> bool:
    """Whether the text has a key's form; says nothing of whether it is known."""
    if len(text) != _LENGTH or not text.startswith(PREFIX) or not text.isascii():
        return False
    secret = text[len(PREFIX) : -_CHECK_DIGITS]
    return secret.isalnum() and text.endswith(_checksum(secret))


def hint_of(key: str) -> str:
    """The beginning, by which its owner knows it again."""
    return key[:HINT_CHARACTERS]


def digest_of(key: str, pepper: SecretStr) -> bytes:
    """What is stored: HMAC-SHA256 with the pepper, so a copy of the table lets nobody in.

    Keys hold 256 random bits: a slow hash would only cost the honest caller.
    """
    return hmac.digest(pepper.get_secret_value().encode(), key.encode(), "sha256")


def _checksum(secret: str) -> str:
    return _in_digits(zlib.crc32(secret.encode()), _CHECK_DIGITS)


def _in_digits(number: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
