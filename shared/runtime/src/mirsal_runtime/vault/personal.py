"""Sealing what is personal with the key of its lead, and opening it. Pure but for random nonces.

What is sealed says for what it is (`output` of which execution): copied elsewhere it does not open.
"""

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from mirsal_contracts.leads import SEALED
from mirsal_contracts.message import JsonObject
from pydantic_core import from_json, to_json

from mirsal_runtime.vault.sealing import VERSION, SealBroken, make_nonce, unseal_with

_KEY_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class KeyName(NamedTuple):
    """Which lead's key, by the id that sealed texts name."""

    workspace: str
    key_id: str


class LeadKey:
    """The key of one lead, as long as that is not erased."""

    __slots__ = ("_cipher", "_place", "id", "lead_id")

    def __init__(self, key_id: str, workspace: str, lead_id: str, key: bytes) -> None:
        self.id = key_id
        self.lead_id = lead_id
        self._cipher = AESGCM(key)
        self._place = f"{workspace}\0{lead_id}\0"

    def seal(self, plain: bytes, what: str, of: str = "") -> JsonObject:
        """`plain` as a `Sealed` of a message: `what` it is, `of` which run or execution."""
        nonce = make_nonce()
        text = VERSION + nonce + self._cipher.encrypt(nonce, plain, self._context(what, of))
        return {"key": self.id, "text": b2a_base64(text, newline=False).decode()}

    def open(self, text: str, what: str, of: str = "") -> bytes:
        """What was sealed. Raises `SealBroken`."""
        try:
            raw = a2b_base64(text)
        except ValueError:
            raise SealBroken from None
        return unseal_with(self._cipher, raw, self._context(what, of))

    def hide(self, plain: JsonObject, what: str, of: str) -> JsonObject:
        """A JSON object that holds `plain` sealed."""
        return {SEALED: self.seal(to_json(plain, inf_nan_mode="null"), what, of)}

    def reveal(self, value: JsonObject, what: str, of: str) -> JsonObject:
        """The object that `hide` has sealed; another one as it is. Raises `SealBroken`."""
        if key_of_hidden(value) is None:
            return value
        sealed: Any = value[SEALED]
        found: JsonObject = from_json(self.open(str(sealed.get("text")), what, of))
        return found

    def _context(self, what: str, of: str) -> bytes:
        return f"{self._place}{what}\0{of}".encode()


def key_of_hidden(value: Mapping[str, Any] | None) -> str | None:
    """The id of the key that a JSON object needs, if what it holds is sealed."""
    sealed = value.get(SEALED) if value else None
    key_id = sealed.get("key") if isinstance(sealed, dict) else None
    return key_id if isinstance(key_id, str) and is_key_id(key_id) else None


def is_key_id(text: str) -> bool:
    """Whether a key may be called so."""
    return _KEY_ID.fullmatch(text) is not None
