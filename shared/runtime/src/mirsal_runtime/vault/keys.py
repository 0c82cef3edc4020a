"""Key-encryption keys: who wraps and unwraps the data keys of workspaces."""

import asyncio
import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from pydantic import SecretStr

from mirsal_runtime.log_faults import Told
from mirsal_runtime.vault.sealing import KEY_BYTES, make_key, seal, unseal

_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class KeysUnusable(Told):
    """The keys cannot be read; the text says what to do, and holds nothing of them."""


class KeyUnknown(Told):
    """A data key was wrapped with a key that is not here."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"there is no key {key_id[:64]!r} here")


class Wrapped(NamedTuple):
    """A data key as it is stored, and which key-encryption key it needs."""

    key_id: str
    text: bytes


class KeyKeeper(Protocol):
    """Wraps and unwraps data keys; a KMS does without ever giving its own keys away.

    Each call has a deadline of its own, and raises `OSError` or `TimeoutError` when nobody answers.
    """

    async def current(self) -> str:
        """The id of the key that wraps now."""

    async def wrap(self, data_key: bytes, context: bytes) -> Wrapped:
        """Wrap a data key with the key that is current now, bound to `context` and its id."""

    async def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        """The data key. Raises `KeyUnknown` and `SealBroken`."""


class GivenKeys:
    """Key-encryption keys from settings, or from a file, which is read again when it changes."""

    def __init__(self, keys: SecretStr, file: Path | None = None) -> None:
        """Raises `KeysUnusable` for keys that are none."""
        self._file = file
        self._stamp: tuple[int, int] | None = None
        self._ring: Mapping[str, bytes] = {}
        if file is None:
            self._ring = parse_keys(keys.get_secret_value())

    async def current(self) -> str:
        """See `KeyKeeper`."""
        return next(iter(await self._read()))

    async def wrap(self, data_key: bytes, context: bytes) -> Wrapped:
        """See `KeyKeeper`."""
        ring = await self._read()
        key_id, key = next(iter(ring.items()))
        return Wrapped(key_id, seal(key, data_key, _bind(context, key_id)))

    async def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        """See `KeyKeeper`."""
        key = (await self._read()).get(wrapped.key_id)
        if key is None:
            raise KeyUnknown(wrapped.key_id)
        return unseal(key, wrapped.text, _bind(context, wrapped.key_id))

    async def _read(self) -> Mapping[str, bytes]:
        if self._file is not None:
            await asyncio.to_thread(self._read_file, self._file)
        if not self._ring:
            raise KeysUnusable("there are no keys: set MIRSAL_VAULT_KEYS or MIRSAL_VAULT_KEYS_FILE")
        return self._ring

    def _read_file(self, file: Path) -> None:
        try:
            found = file.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp != self._stamp:
                self._ring = parse_keys(file.read_text("utf-8"))
                self._stamp = stamp
        except OSError as error:
            reason = f"the file of MIRSAL_VAULT_KEYS_FILE cannot be read: {error.strerror}"
            raise KeysUnusable(reason) from None


def parse_keys(text: str) -> Mapping[str, bytes]:
    """The keys by their ids, in their order. Raises `KeysUnusable`."""
    ring: dict[str, bytes] = {}
    for number, entry in enumerate(filter(None, re.split(r"[\s,]+", text)), start=1):
        key_id, _, encoded = entry.partition(":")
        try:
            key = b64decode(encoded, validate=True)
        except NotBase64:
            key = b""
        if not _KEY_ID.fullmatch(key_id) or len(key) != KEY_BYTES:
            raise KeysUnusable(
                f"vault key {number} is not `id:base64 of {KEY_BYTES} bytes`: "
                "`mirsal vault new-key` makes one"
            )
        if key_id in ring:
            raise KeysUnusable(f"vault key {number} has the id of another one")
        ring[key_id] = key
    return ring


def write_new_key(key_id: str) -> str:
    """A new key as it stands in the settings. Raises `KeysUnusable` for an id that may not be."""
    if not _KEY_ID.fullmatch(key_id):
        raise KeysUnusable("a key's id has A-Z a-z 0-9 . _ -, 64 characters at most")
    return f"{key_id}:{b64encode(make_key()).decode()}"


def _bind(context: bytes, key_id: str) -> bytes:
    return b"%b %b" % (key_id.encode(), context)
