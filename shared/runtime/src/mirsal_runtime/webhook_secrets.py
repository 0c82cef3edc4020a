"""Secrets of webhook endpoints: the gateway makes and seals them, the worker opens and signs.

Signatures are those of Standard Webhooks (standardwebhooks.com), version 1.
"""

import hashlib
import hmac
import re
import secrets
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable, Mapping
from typing import Final
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_KEY_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class SecretUnreadable(Exception):
    """It does not open; the text says why, and holds nothing of it."""


class KeysUnusable(ValueError):
    """The keys make no sense; the text says what to do, and holds nothing of them."""


def make_secret() -> str:
    """A new secret, as its owner is shown it."""
    return PREFIX + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sign(endpoint_secrets: Iterable[str], message_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`: one signature for each secret.

    `timestamp` is the moment of this attempt, in seconds since 1970.
    """
    signed = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return " ".join(
        "v1,"
        + b64encode(
            hmac.digest(b64decode(each.removeprefix(PREFIX)), signed, hashlib.sha256)
        ).decode()
        for each in endpoint_secrets
    )


class SecretSealer:
    """Seals secrets with AES-256-GCM, each bound to its workspace and endpoint.

    `keys` are `id:base64 of 32 bytes`, separated by commas or spaces; the first seals, all open.
    Raises `KeysUnusable`.
    """

    def __init__(self, keys: SecretStr) -> None:
        self._ring = _parse_keys(keys.get_secret_value())

    async def check(self) -> str | None:
        """Readiness: None, or what is wrong."""
        return None if self._ring else "there is no key: set MIRSAL_WEBHOOK_KEYS"

    def seal(self, secret: str, workspace: str, endpoint_id: UUID) -> bytes:
        """The secret as it is stored. Raises `SecretUnreadable` where there is no key."""
        if not self._ring:
            raise SecretUnreadable("there is no key: set MIRSAL_WEBHOOK_KEYS")
        key_id, key = next(iter(self._ring.items()))
        nonce = secrets.token_bytes(_NONCE_BYTES)
        context = _context(key_id, workspace, endpoint_id)
        return b"%b:%b" % (
            key_id.encode(),
            nonce + AESGCM(key).encrypt(nonce, secret.encode(), context),
        )

    def open(self, sealed: bytes, workspace: str, endpoint_id: UUID) -> str:
        """The secret. Raises `SecretUnreadable`."""
        name, _, rest = sealed.partition(b":")
        key_id = name.decode("ascii", "replace")
        key = self._ring.get(key_id)
        if key is None:
            raise SecretUnreadable(f"there is no key {key_id[:64]!r} here")
        context = _context(key_id, workspace, endpoint_id)
        try:
            plain = AESGCM(key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError):
            raise SecretUnreadable(
                "it was not sealed for this endpoint, or was changed since"
            ) from None
        return plain.decode()


def _context(key_id: str, workspace: str, endpoint_id: UUID) -> bytes:
    return orjson.dumps(["webhook-secret", key_id, workspace, str(endpoint_id)])


def _parse_keys(text: str) -> Mapping[str, bytes]:
    ring: dict[str, bytes] = {}
    for number, entry in enumerate(filter(None, re.split(r"[\s,]+", text)), start=1):
        key_id, _, encoded = entry.partition(":")
        try:
            key = b64decode(encoded, validate=True)
        except NotBase64:
            key = b""
        if not _KEY_ID.fullmatch(key_id) or len(key) != KEY_BYTES or key_id in ring:
            raise KeysUnusable(
                f"webhook key {number} is not `id:base64 of {KEY_BYTES} bytes`, or its id is taken"
            )
        ring[key_id] = key
    return ring
