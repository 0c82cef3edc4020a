"""AES-256-GCM, and what each ciphertext is bound to. Pure but for the random nonces and keys."""

import secrets
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
VERSION = b"\x01"
"""How the rest of a sealed text is to be read: a nonce, and AES-256-GCM's text and tag."""


HEAD_BYTES = len(VERSION) + NONCE_BYTES


class SealBroken(Exception):
    """It does not open: another key, another place, or not as it was sealed."""


def make_key() -> bytes:
    """A new key."""
    return secrets.token_bytes(KEY_BYTES)


def make_nonce() -> bytes:
    """Another one for each text."""
    return secrets.token_bytes(NONCE_BYTES)


def seal(key: bytes, plain: bytes, context: bytes) -> bytes:
    """`plain`, to be opened with the same key in the same context only."""
    nonce = make_nonce()
    return VERSION + nonce + AESGCM(key).encrypt(nonce, plain, context)


def unseal(key: bytes, sealed: bytes, context: bytes) -> bytes:
    """What was sealed. Raises `SealBroken`."""
    return unseal_with(AESGCM(key), sealed, context)


def unseal_with(cipher: AESGCM, sealed: bytes, context: bytes) -> bytes:
    """As `unseal`, for who has the key's cipher at hand."""
    if not sealed.startswith(VERSION) or len(sealed) < HEAD_BYTES:
        raise SealBroken
    try:
        return cipher.decrypt(sealed[len(VERSION) : HEAD_BYTES], sealed[HEAD_BYTES:], context)
    except InvalidTag:
        raise SealBroken from None


def account_context(workspace: str, credential_id: str, kind: str, data_key: UUID) -> bytes:
    """What a sealed account is bound to."""
    return orjson.dumps(["credential", workspace, credential_id, kind, str(data_key)])


def data_key_context(workspace: str, data_key: UUID) -> bytes:
    """What a wrapped data key is bound to; whoever wraps it adds the wrapping key's id."""
    return orjson.dumps(["data-key", workspace, str(data_key)])


def lead_key_context(workspace: str, lead_id: str, key_id: UUID, data_key: UUID) -> bytes:
    """What a lead's wrapped key is bound to."""
    return orjson.dumps(["lead-key", workspace, lead_id, str(key_id), str(data_key)])
