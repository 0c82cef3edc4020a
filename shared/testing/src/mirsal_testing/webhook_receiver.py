"""A customer's endpoint, for tests: it keeps what it is sent, and answers as it is told."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple, Self

from aiohttp import web

WAIT_SECONDS = 30.0


class Received(NamedTuple):
    """One call."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def message_id(self) -> str:
        """The header `webhook-id`."""
        return self.headers["webhook-id"]


class Reply(NamedTuple):
    """How a call is answered: after `seconds`, with this status and these headers."""

    status: int = 204
    headers: Mapping[str, str] = {}
    seconds: float = 0.0


class Receiver:
    """Listens on loopback. Use as a context manager.

    `replies` are by path; those of a path are given one after the other, the last one for ever.
    """

    def __init__(self) -> None:
        self.calls: list[Received] = []
        self.replies: dict[str, list[Reply]] = {}
        self.in_flight: Counter[str] = Counter()
        self.most_in_flight: Counter[str] = Counter()
        self.url = ""
        self._news = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/{tail:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def calls_of(self, path: str) -> list[Received]:
        """The calls of a path, in their order."""
        return [call for call in self.calls if call.path == path]

    async def wait_for(self, path: str, count: int = 1) -> list[Received]:
        """The calls of a path once there are so many. Raises `TimeoutError`."""
        async with asyncio.timeout(WAIT_SECONDS), self._news:
            await self._news.wait_for(lambda: len(self.calls_of(path)) >= count)
        return self.calls_of(path)

    async def _serve(self, request: web.Request) -> web.Response:
        path = request.path
        self.in_flight[path] += 1
        self.most_in_flight[path] = max(self.most_in_flight[path], self.in_flight[path])
        try:
            body = await request.read()
            headers = {name.lower(): value for name, value in request.headers.items()}
            async with self._news:
                self.calls.append(Received(path, headers, body))
                self._news.notify_all()
            replies = self.replies.get(path, [Reply()])
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
            await asyncio.sleep(reply.seconds)
            return web.Response(status=reply.status, headers=reply.headers)
        finally:
            self.in_flight[path] -= 1
