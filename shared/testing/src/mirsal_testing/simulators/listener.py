"""The HTTP listener of a simulator (aiohttp without its router, which costs more than the work).

Nothing here knows a provider.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

DRAIN_SECONDS = 0.5
"""How long a stopping listener waits for answers under way."""


def answer_json(payload: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(payload), status=status, content_type="application/json")


class HttpListener:
    """One listening socket and the one function that answers everything."""

    def __init__(self, handler: Handler, host: str, port: int, **options: Any) -> None:
        self._handler = handler
        self._host = host
        self._port = port
        self._options = options
        self._runner: web.ServerRunner | None = None

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def start(self) -> None:
        """Raises OSError where the port is taken. A free port, once taken, is kept for restarts."""
        # A caller that goes away ends its own hanging or delayed answer.
        server = web.Server(
            self._handler, access_log=None, handler_cancellation=True, **self._options
        )
        runner = web.ServerRunner(server, shutdown_timeout=DRAIN_SECONDS)
        await runner.setup()
        await web.TCPSite(runner, self._host, self._port, backlog=1024).start()
        self._port = runner.addresses[0][1]
        self._runner = runner

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
