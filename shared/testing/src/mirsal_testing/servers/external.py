"""A server that somebody else runs, given by its URL: used as it is, never started or stopped."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NoReturn

import redis.asyncio
import redis.exceptions

from mirsal_testing.servers.probes import kafka_answers, postgres_answers
from mirsal_testing.servers.server import ServerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_START_SECONDS = 15.0
_POLL = 0.2


class ExternalServer:
    """A `Server` whose process is not ours: `start()` checks that it answers, no more."""

    pid = None
    data = None
    log = None

    def __init__(self, name: str, url: str, setting: str) -> None:
        """`setting` is the environment variable that the URL came from."""
        self.name = name
        self.url = url
        self._setting = setting

    async def start(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not await self.is_ready():
            if time.monotonic() > deadline:
                raise ServerError(
                    f"the {self.name} server of {self._setting} has not answered for "
                    f"{_START_SECONDS:.0f} s: start it, correct {self._setting}, or unset it to "
                    "have a server started for you"
                )
            await asyncio.sleep(_POLL)

    async def stop(self) -> None:
        """Leaves it running: it is not ours."""

    async def kill(self) -> None:
        self._refuse("kill")

    async def pause(self) -> None:
        self._refuse("pause")

    async def resume(self) -> None:
        self._refuse("resume")

    async def restart(self) -> None:
        self._refuse("restart")

    async def is_running(self) -> bool:
        return await self.is_ready()

    async def is_ready(self) -> bool:
        return await _PROBES[self.name](self.url)

    def _refuse(self, what: str) -> NoReturn:
        raise ServerError(
            f"cannot {what} the {self.name} server of {self._setting}: it is not ours. "
            f"Unset {self._setting} to have one started that can be."
        )


async def _redis_answers(url: str) -> bool:
    client = redis.asyncio.Redis.from_url(url, socket_timeout=1.0, socket_connect_timeout=1.0)
    try:
        return bool(await client.ping())
    except (redis.exceptions.RedisError, OSError):
        return False
    finally:
        await client.aclose()


_PROBES: dict[str, Callable[[str], Awaitable[bool]]] = {
    "kafka": kafka_answers,
    "postgres": postgres_answers,
    "valkey": _redis_answers,
}
