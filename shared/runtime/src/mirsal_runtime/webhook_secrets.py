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

from mirsal_runtime.vault.keys import KeyKeeper, KeyUnknown, Wrapped
from mirsal_runtime.vault.keys import KeysUnusable as VaultKeysUnusable
from mirsal_runtime.vault.sealing import SealBroken

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
KEY_BYTES: Final = 32
BY_VAULT: Final = b"\x02"
"""How a secret begins that the vault's keys sealed; then the key's id, a colon, and the rest."""
_BROKEN: Final = "it was not sealed for this endpoint, or was changed since"
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
    """Seals secrets by the vault's keys, each bound to its workspace and endpoint.

    `own_keys` are what releases before sealed with (`id:base64 of 32 bytes`, separated by commas or
    spaces). Whoever has some seals with the first of them still, for workers of the release before;
    all open. Raises `KeysUnusable`.
    """

    def __init__(self, vault: KeyKeeper, own_keys: SecretStr) -> None:
        self._vault = vault
        self._ring = _parse_keys(own_keys.get_secret_value())

    async def check(self) -> str | None:
        """Readiness: None, or what is wrong."""
        if self._ring:
            return None
        try:
            await self._vault.current()
        except (VaultKeysUnusable, OSError, TimeoutError) as error:
            return str(error)
        return None

    async def seal(self, secret: str, workspace: str, endpoint_id: UUID) -> bytes:
        """The secret as it is stored. Raises `SecretUnreadable` where there is no key."""
        if not self._ring:
            return await self.seal_by_vault(secret, workspace, endpoint_id)
        key_id, key = next(iter(self._ring.items()))
        nonce = secrets.token_bytes(_NONCE_BYTES)
        context = _context(key_id, workspace, endpoint_id)
        return b"%b:%b" % (
            key_id.encode(),
            nonce + AESGCM(key).encrypt(nonce, secret.encode(), context),
        )

    async def seal_by_vault(self, secret: str, workspace: str, endpoint_id: UUID) -> bytes:
        """The secret, sealed by the vault's current key. Raises `SecretUnreadable`."""
        context = _vault_context(workspace, endpoint_id)
        try:
            wrapped = await self._vault.wrap(secret.encode(), context)
        except (VaultKeysUnusable, OSError, TimeoutError) as error:
            raise SecretUnreadable(str(error)) from None
        return BY_VAULT + wrapped.key_id.encode() + b":" + wrapped.text

    async def open(self, sealed: bytes, workspace: str, endpoint_id: UUID) -> str:
        """The secret. Raises `SecretUnreadable`."""
        name, _, rest = sealed.removeprefix(BY_VAULT).partition(b":")
        key_id = name.decode("ascii", "replace")
        if sealed.startswith(BY_VAULT):
            return await self._open_by_vault(Wrapped(key_id, rest), workspace, endpoint_id)
        key = self._ring.get(key_id)
        if key is None:
            raise SecretUnreadable(f"there is no key {key_id[:64]!r} here")
        context = _context(key_id, workspace, endpoint_id)
        try:
            plain = AESGCM(key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError):
            raise SecretUnreadable(_BROKEN) from None
        return plain.decode()

    async def _open_by_vault(self, wrapped: Wrapped, workspace: str, endpoint_id: UUID) -> str:
        try:
            plain = await self._vault.unwrap(wrapped, _vault_context(workspace, endpoint_id))
        except SealBroken:
            raise SecretUnreadable(_BROKEN) from None
        except (KeyUnknown, VaultKeysUnusable, OSError, TimeoutError) as error:
            raise SecretUnreadable(str(error)) from None
        return plain.decode()


def _vault_context(workspace: str, endpoint_id: UUID) -> bytes:
    return orjson.dumps(["webhook-secret", workspace, str(endpoint_id)])


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
