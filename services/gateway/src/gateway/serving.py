"""HTTP over uvicorn: sockets that several processes share, bounds on what comes before a body."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_BYTES = 64 * 1024
HEADER_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 65
DRAIN_SECONDS = 20
BACKLOG = 2048


class BoundedProtocol(HttpToolsProtocol):
    """Ends connections whose request line and headers are too long, or do not come."""

    _header_bytes = 0
    _header_timer: asyncio.TimerHandle | None = None
    _in_headers = True

    def connection_made(
        self,
        transport: asyncio.Transport,  # type: ignore[override] # as uvicorn's
    ) -> None:
        super().connection_made(transport)
        self._header_timer = self.loop.call_later(HEADER_SECONDS, transport.close)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_headers:
            self._header_bytes = 0
            self._cancel_timer()
            return
        self._header_bytes += len(data)
        if self._header_bytes > HEADER_BYTES:
            self.transport.close()
        elif self._header_timer is None:
            self._header_timer = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def on_message_begin(self) -> None:
        self._in_headers = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_headers = False
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        super().connection_lost(exc)

    def _cancel_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None


class Listener(uvicorn.Server):
    """A server that leaves signals to the process's own frame."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A socket that other processes may listen on too; the kernel deals out the connections."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((host, port))
    sock.setblocking(False)
    return sock


async def serve(
    app: ASGIApp, sock: socket.socket, *, trusted_proxies: str, stop: asyncio.Event
) -> None:
    """Serve until `stop`, then finish what is under way, for at most `DRAIN_SECONDS`."""
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=trusted_proxies,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        backlog=BACKLOG,
    )
    server = Listener(config)

    async def end_on_stop() -> None:
        await stop.wait()
        server.should_exit = True

    watcher = asyncio.create_task(end_on_stop())
    try:
        await server.serve(sockets=[sock])
    finally:
        watcher.cancel()
