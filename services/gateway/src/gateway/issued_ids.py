"""Ids that prove where they come from: UUIDs of version 7 that end in a MAC. No I/O.

An id is known as issued, and when, without a row that says so: that is what lets a run read
`queued` between its 202 and its first row.
"""

import hmac
import os
import time
from hashlib import sha256
from typing import Literal, TypeAlias
from uuid import UUID

from pydantic import SecretStr

Kind: TypeAlias = Literal["run", "execution", "control", "job"]

STEM_BYTES = 12
FRESH_SECONDS = 15 * 60
CLOCK_SKEW_SECONDS = 60


class IdIssuer:
    """Makes ids and recognises them.

    An id is a stem (48 bits of Unix time in ms, 42 random bits, version and variant) and a MAC of
    32 bits over kind, workspace and stem. A run and its direct execution share a stem, so each
    can be told from the other.
    """

    def __init__(self, secret: SecretStr) -> None:
        self._secret = secret.get_secret_value().encode()

    def name(self, kind: Kind, workspace: str, stem: bytes) -> str:
        """The id of this kind with this stem."""
        text = (stem + self._mac(kind, workspace, stem)).hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def stem_of(self, kind: Kind, workspace: str, text: str) -> bytes | None:
        """The stem of an id that was issued for this kind and workspace; None for any other."""
        try:
            data = UUID(text).bytes
        except ValueError:
            return None
        stem, mac = data[:STEM_BYTES], data[STEM_BYTES:]
        genuine = hmac.compare_digest(mac, self._mac(kind, workspace, stem))
        return stem if genuine else None

    def _mac(self, kind: Kind, workspace: str, stem: bytes) -> bytes:
        return hmac.digest(
            self._secret, b"%b/%b/%b" % (kind.encode(), stem, workspace.encode()), "sha256"
        )[:4]


def new_stem() -> bytes:
    """A stem of this moment."""
    return _with_time(time.time_ns() // 1_000_000, os.urandom(6))


def derive_stem(stem: bytes, name: str) -> bytes:
    """The stem, of the same moment, that always follows from `stem` and `name`."""
    return _with_time(_millis(stem), sha256(stem + name.encode()).digest()[:6])


def is_fresh(stem: bytes) -> bool:
    """Whether the id was issued so lately that its row may still be on its way."""
    age = time.time() - _millis(stem) / 1000
    return -CLOCK_SKEW_SECONDS <= age <= FRESH_SECONDS


def same_moment(stem: bytes) -> tuple[UUID, UUID]:
    """The lowest and the highest UUID of the stem's millisecond."""
    return UUID(bytes=stem[:6] + bytes(10)), UUID(bytes=stem[:6] + b"\xff" * 10)


def _millis(stem: bytes) -> int:
    return int.from_bytes(stem[:6], "big")


def _with_time(millis: int, bits: bytes) -> bytes:
    """48 bits of time, then `bits` (6 bytes) with version 7 and the RFC's variant set."""
    stem = bytearray(millis.to_bytes(6, "big") + bits)
    stem[6] = (stem[6] & 0x0F) | 0x70
    stem[8] = (stem[8] & 0x3F) | 0x80
    return bytes(stem)
