"""Fetching pinned jars: in parallel, checked against their hash, each put in place in one step."""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import TYPE_CHECKING

import httpx

from mirsal_testing.servers.progress import ByteProgress, show_bytes
from mirsal_testing.servers.server import ServerError

if TYPE_CHECKING:
    from pathlib import Path

    from mirsal_testing.servers.maven import Jar, Repository

_AT_ONCE = 8
_TRIES = 5
_FIRST_PAUSE = 0.5
_TIMEOUT = httpx.Timeout(30.0)
# Says that another try may do better.
_PASSING = {408, 425, 429, 500, 502, 503, 504}


async def fetch_jars(jars: list[Jar], folder: Path, repository: Repository) -> None:
    """Brings each jar that is not yet there into the folder.

    Raises `ServerError`, with what to do, when one cannot be had or is not what was pinned.
    """
    missing = [jar for jar in jars if not is_intact(jar, folder)]
    if not missing:
        return
    total = sum(jar.size for jar in missing)
    label = f"Kafka ({len(missing)} jars from {httpx.URL(repository.url).host})"
    places = asyncio.Semaphore(_AT_ONCE)
    async with httpx.AsyncClient(
        timeout=_TIMEOUT, auth=repository.login, follow_redirects=True
    ) as client:
        with show_bytes(label, total) as progress:
            fetch = _Fetch(client, repository, folder, progress, places)
            try:
                async with asyncio.TaskGroup() as group:
                    for jar in missing:
                        group.create_task(fetch.one(jar))
            except* ServerError as failures:
                raise failures.exceptions[0] from None


def is_intact(jar: Jar, folder: Path) -> bool:
    """Whether the folder has this jar with the pinned hash."""
    path = folder / jar.file_name
    try:
        if path.stat().st_size != jar.size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


class _Fetch:
    def __init__(
        self,
        client: httpx.AsyncClient,
        repository: Repository,
        folder: Path,
        progress: ByteProgress,
        places: asyncio.Semaphore,
    ) -> None:
        self._client = client
        self._repository = repository
        self._folder = folder
        self._progress = progress
        self._places = places

    async def one(self, jar: Jar) -> None:
        url = f"{self._repository.url}/{jar.path}"
        async with self._places:
            for remaining in reversed(range(_TRIES)):
                try:
                    content = await self._get(url)
                    break
                except (httpx.TransportError, httpx.HTTPStatusError) as error:
                    if remaining == 0 or not _is_passing(error):
                        raise self._cannot_get(url, error) from error
                await asyncio.sleep(_FIRST_PAUSE * 2 ** (_TRIES - 1 - remaining))
        found = hashlib.sha256(content).hexdigest()
        if found != jar.sha256:
            raise ServerError(
                f"{url} is not the file that Mirsal was built with: its sha256 is {found}, pinned "
                f"is {jar.sha256}. Nothing of it was kept. The repository ({self._repository.url}, "
                f"from {self._repository.source}) or something on the way changes files: set "
                f"MIRSAL_MAVEN_URL to one that you trust."
            )
        _put(self._folder / jar.file_name, content)

    async def _get(self, url: str) -> bytes:
        arrived = bytearray()
        try:
            async with self._client.stream("GET", url) as response:
                response.raise_for_status()
                async for chunk in response.aiter_bytes():
                    arrived += chunk
                    self._progress.advance(len(chunk))
        except httpx.HTTPError:
            self._progress.advance(-len(arrived))
            raise
        return bytes(arrived)

    def _cannot_get(self, url: str, error: httpx.HTTPError) -> ServerError:
        return ServerError(
            f"cannot get {url}: {error or type(error).__name__}. Kafka comes from "
            f"{self._repository.url} ({self._repository.source}); set MIRSAL_MAVEN_URL to a Maven "
            f"repository that this machine can reach (HTTPS_PROXY is honoured), or "
            f"KAFKA_BOOTSTRAP_SERVERS to a running Kafka. What has arrived is kept."
        )


def _is_passing(error: httpx.HTTPError) -> bool:
    return not isinstance(error, httpx.HTTPStatusError) or error.response.status_code in _PASSING


def _put(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)
