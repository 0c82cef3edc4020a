"""The issuer's public keys: fetched from a URL or a file, kept while that cannot be read."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import structlog
from mirsal_runtime import metrics

from gateway.auth.tokens import Algorithm, Keys, read_keys

FETCH_SECONDS = 2.0
FRESH_SECONDS = 300.0
"""Keys older than this are fetched again, while the old ones go on serving."""
AGAIN_SECONDS = 10.0
"""The least time between two fetches, whatever ids of keys tokens name."""
SET_BYTES = 256 * 1024

log = structlog.get_logger(__name__)


class KeysUnavailable(Exception):
    """No key was ever read: nothing can be said of any token."""


class KeySet:
    """Public keys by id. `source` is an http(s) URL or a path."""

    def __init__(self, source: str, algorithm: Algorithm) -> None:
        self._source = source
        self._algorithm = algorithm
        self._keys: Keys = {}
        self._raw = b""
        self._tried_at = -AGAIN_SECONDS
        self._fetching: asyncio.Task[None] | None = None
        self.version = 0
        """Changes with the keys: what was found out with others may be wrong."""

    async def read(self, *, again: bool = False) -> Keys:
        """The keys; `again` looks for new ones first, if that was not done just now.

        Raises `KeysUnavailable` where none could ever be read.
        """
        age = time.monotonic() - self._tried_at
        if age >= AGAIN_SECONDS and (again or not self._keys or age >= FRESH_SECONDS):
            self._start_fetch()
        if self._fetching is not None and (again or not self._keys):
            # Shielded: who gives up ends its own waiting, not the others'.
            await asyncio.shield(self._fetching)
        if not self._keys:
            raise KeysUnavailable("the issuer's keys could not be read")
        return self._keys

    async def stop(self) -> None:
        """End a fetch that is under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            with suppress(asyncio.CancelledError):
                await self._fetching

    def _start_fetch(self) -> None:
        if self._fetching is None:
            self._tried_at = time.monotonic()
            self._fetching = asyncio.create_task(self._fetch())
            self._fetching.add_done_callback(self._end_fetch)

    def _end_fetch(self, _task: "asyncio.Task[None]") -> None:
        self._fetching = None

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                raw = await self._load()
            keys = read_keys(raw, self._algorithm)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError) as error:
            metrics.KEY_SET_FAILURES.inc()
            log.warning("key_set_not_read", error=error, kept=len(self._keys))
            return
        if raw != self._raw:
            self._keys, self._raw = keys, raw
            self.version += 1
            log.info("key_set_read", key_ids=sorted(keys))

    async def _load(self) -> bytes:
        if urlsplit(self._source).scheme not in {"http", "https"}:
            return await asyncio.to_thread(_read_file, Path(self._source))
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(FETCH_SECONDS)) as session,
            session.get(self._source, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise ValueError(f"the key set was answered with {response.status}")
            raw = await response.content.read(SET_BYTES + 1)
            while len(raw) <= SET_BYTES and not response.content.at_eof():
                raw += await response.content.read(SET_BYTES + 1 - len(raw))
            if len(raw) > SET_BYTES:
                raise ValueError("the key set is too large")
            return raw


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        raw = file.read(SET_BYTES + 1)
    if len(raw) > SET_BYTES:
        raise ValueError("the key set is too large")
    return raw
