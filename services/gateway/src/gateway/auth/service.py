"""Knows callers by their API keys, with a short memory so that few requests ask the database."""

import asyncio
import time

from mirsal_runtime.batching import Batcher
from pydantic import SecretStr

from gateway.auth.keys import digest_of, is_key
from gateway.auth.schemas import Principal
from gateway.auth.store import KeyStore
from gateway.store import CALL_SECONDS, DatabaseUnavailable

REMEMBER_SECONDS = 0.9
"""A revoked key works for at most this long on a gateway that has just seen it."""
REMEMBERED_KEYS = 10_000


class Doorkeeper:
    """Says whose a key is. Only good keys are remembered, by their digests."""

    def __init__(self, store: KeyStore, pepper: SecretStr) -> None:
        self._store = store
        self._pepper = pepper
        self._remembered: dict[bytes, tuple[float, Principal]] = {}
        self._lookups: Batcher[bytes, Principal | None] = Batcher(store.find)
        self._used: set[str] = set()

    async def identify(self, key: str) -> Principal | None:
        """The caller, or None for a key that may not be used. Raises `DatabaseUnavailable`."""
        if not is_key(key):
            return None
        digest = digest_of(key, self._pepper)
        remembered = self._remembered.get(digest)
        if remembered is not None and time.monotonic() < remembered[0]:
            return remembered[1]
        asked_at = time.monotonic()
        try:
            # The batch before may have taken its whole time already.
            async with asyncio.timeout(CALL_SECONDS):
                principal = await self._lookups.submit(digest)
        except TimeoutError as error:
            raise DatabaseUnavailable("PostgreSQL did not answer in time") from error
        if principal is None:
            self._remembered.pop(digest, None)
            return None
        if len(self._remembered) >= REMEMBERED_KEYS:
            self._remembered.clear()
        self._remembered[digest] = (asked_at + REMEMBER_SECONDS, principal)
        self._used.add(principal.key_id)
        return principal

    async def write_uses(self) -> None:
        """Note which keys were used since the last time. Raises `DatabaseUnavailable`."""
        used, self._used = self._used, set()
        if used:
            try:
                await self._store.touch(used)
            except DatabaseUnavailable:
                self._used |= used
                raise
