"""HTTP over uvicorn: sockets that several processes share, bounds on what a connection may take."""

import asyncio
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import uvicorn
from mirsal_runtime import metrics
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.frame import CSP, SECURITY, Frame
from gateway.problems import Problem, unavailable

DRAIN_SECONDS = 20
BACKLOG = 2048
MOST_FILES: Final = 8_192
LEAST_BYTES_A_SECOND: Final = 4_096


class Bounds(NamedTuple):
    """What one client may take. A connection beyond `connections` is answered 503."""

    header_bytes: int = 64 * 1024
    header_seconds: float = 10.0
    rest_seconds: float = 10.0
    """For what is left of a body once its request has its answer."""
    unread_seconds: float = 30.0
    """For a client that reads less than `LEAST_BYTES_A_SECOND` of what it is sent."""
    keep_alive_seconds: int = 65
    connections: int = 2_000


class JoinedWrites:
    """A transport that writes at once what is written within one turn of the loop.

    uvicorn writes an answer's head and its body apart, which were two system calls, two packets,
    and two times that each client woke up.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> object:
        """All else is the transport's."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write it before the loop looks for the next event."""
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)

    def get_write_buffer_size(self) -> int:
        """How many bytes the client has not taken, in bytes."""
        return self._transport.get_write_buffer_size() + sum(map(len, self._held))

    def close(self) -> None:
        """Close once what was written has gone out."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            held, self._held = self._held, []
            if not self.is_closing():
                self._transport.writelines(held)


class BoundedProtocol(HttpToolsProtocol):
    """Ends connections whose client is too slow to ask or to read, or asks at too great length."""

    bounds = Bounds()
    _header_bytes = 0
    _clock: asyncio.TimerHandle | None = None
    _unread_clock: asyncio.TimerHandle | None = None
    _in_headers = True
    _in_message = False

    def connection_made(
        self,
        transport: asyncio.Transport,  # type: ignore[override] # as uvicorn's
    ) -> None:
        surplus = len(self.connections) - self.bounds.connections
        joined: Any = JoinedWrites(transport, self.loop)
        super().connection_made(joined)
        self._start_clock(self.bounds.header_seconds)
        if surplus >= 0:
            self.app = _BUSY
        if surplus >= self.bounds.connections:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > self.bounds.header_bytes:
                self._refuse(_LONG_HEADERS)
            else:
                self._start_clock(self.bounds.header_seconds)
            return
        self._header_bytes = 0
        if self._is_answered() and self._in_message:
            self._start_clock(self.bounds.rest_seconds)
            return
        self._stop_clock()
        if self._is_answered() and self.timeout_keep_alive_task is None:
            # The end of a body that nobody read: uvicorn does not wait for the next request anew.
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_message_begin(self) -> None:
        self._in_headers = self._in_message = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_headers = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_message = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_later()
        elif self._in_message and self._is_answered():
            self._start_clock(self.bounds.rest_seconds)

    def pause_writing(self) -> None:
        self._abort_later()
        super().pause_writing()

    def resume_writing(self) -> None:
        if self._unread_clock is not None and not self.transport.is_closing():
            self._unread_clock.cancel()
            self._unread_clock = None
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        self._end()

    def send_400_response(self, msg: str) -> None:
        self._refuse(_NOT_HTTP)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        if self._unread_clock is not None:
            self._unread_clock.cancel()
        super().connection_lost(exc)

    def _is_answered(self) -> bool:
        return self.cycle is not None and self.cycle.response_complete and not self.pipeline

    def _refuse(self, answer: bytes) -> None:
        """Answer what uvicorn does not take for a request."""
        self.transport.write(answer)
        self._end()

    def _end(self) -> None:
        self.transport.close()
        self._abort_later()

    def _abort_later(self) -> None:
        """A transport that is closed, or full, waits for its client for ever."""
        if self._unread_clock is None:
            self._look_later()

    def _look_later(self) -> None:
        seconds = self.bounds.unread_seconds
        rest = self.transport.get_write_buffer_size() - seconds * LEAST_BYTES_A_SECOND
        self._unread_clock = self.loop.call_later(seconds, self._abort_unless_read, rest)

    def _abort_unless_read(self, most_left: float) -> None:
        if self.transport.get_write_buffer_size() > max(most_left, 0):
            self.transport.abort()
        else:
            self._look_later()

    def _start_clock(self, seconds: float) -> None:
        if self._clock is None:
            self._clock = self.loop.call_later(seconds, self._end)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None


def _as_http(problem: Problem) -> bytes:
    """The whole answer, for requests that no application sees."""
    response = problem.to_response()
    headers = [*response.raw_headers, *SECURITY, CSP, (b"connection", b"close")]
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return STATUS_LINE[problem.status] + lines + b"\r\n" + bytes(response.body)


_NOT_HTTP: Final = _as_http(
    Problem(400, "not-http", "Bad request", "This is not a request of HTTP/1.1.")
)
_LONG_HEADERS: Final = _as_http(
    Problem(
        431,
        "headers-too-large",
        "Request header fields too large",
        f"Request line and headers may have {Bounds().header_bytes:,} bytes.",
    )
)


async def _answer_busy(scope: Scope, receive: Receive, send: Send) -> None:
    metrics.REQUESTS_SHED.inc()
    response = unavailable("Too many connections are open.").to_response()
    response.headers["connection"] = "close"
    await response(scope, receive, send)


_BUSY: Final = Frame(_answer_busy)


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
    app: ASGIApp,
    sock: socket.socket,
    *,
    trusted_proxies: str,
    stop: asyncio.Event,
    bounds: Bounds | None = None,
) -> None:
    """Serve until `stop`, then finish what is under way, for at most `DRAIN_SECONDS`."""
    within = bounds or Bounds()

    class Protocol(BoundedProtocol):
        bounds = within

    _allow_files()
    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=trusted_proxies,
        timeout_keep_alive=within.keep_alive_seconds,
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


def _allow_files() -> None:
    """Many systems let a process open 1,024 files only, fewer than connections are allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
