"""Clients that ask slowly, do not read, or are too many: real sockets, and bounds made short."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import orjson
import psutil
import pytest
from gateway.bodies import read_body
from gateway.problems import Problem
from gateway.serving import Bounds, JoinedWrites, listen, serve
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MEGABYTE = 1024 * 1024
SHORT = Bounds(
    header_bytes=4_096, header_seconds=0.4, rest_seconds=0.4, unread_seconds=0.4, connections=20
)
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


class Raw(NamedTuple):
    """A connection on which a test writes what no client would."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def rest(self) -> bytes:
        """All that comes until the server ends the connection."""
        async with asyncio.timeout(20):
            found = b""
            with suppress(ConnectionError):
                while piece := await self.reader.read(65_536):
                    found += piece
            return found


Connect = Callable[[], Awaitable[Raw]]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """`/body` reads it, `/large` answers 16 MB at once, anything else is answered unread."""
    request = Request(scope, receive)
    if scope["path"] == "/body":
        try:
            response = Response(await read_body(request))
        except Problem as problem:
            response = problem.to_response()
    else:
        response = Response(b"x" * (16 * MEGABYTE if scope["path"] == "/large" else 2))
    await response(scope, receive, send)


@asynccontextmanager
async def serving(bounds: Bounds) -> AsyncIterator[Connect]:
    """A server of this process with these bounds; every connection is closed at the end."""
    stop, sock, opened = asyncio.Event(), listen("127.0.0.1", 0), list[Raw]()
    server = asyncio.create_task(serve(app, sock, trusted_proxies="", stop=stop, bounds=bounds))

    async def connect() -> Raw:
        opened.append(Raw(*await asyncio.open_connection(*sock.getsockname(), limit=1024)))
        return opened[-1]

    while True:
        with suppress(ConnectionRefusedError):
            await connect()
            break
        await asyncio.sleep(0.01)
    try:
        yield connect
    finally:
        for raw in opened:
            raw.writer.transport.abort()
        stop.set()
        await server


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    async with serving(SHORT) as opened:
        yield opened


async def trickle(raw: Raw, text: bytes) -> None:
    """A byte every twentieth of a second, as long as anybody listens."""
    with suppress(ConnectionError):
        for byte in text:
            raw.writer.write(bytes([byte]))
            await raw.writer.drain()
            await asyncio.sleep(0.05)


async def status_of(connect: Connect, request: bytes = GET) -> int:
    """The status of an ordinary call."""
    raw = await connect()
    raw.writer.write(request)
    return int((await raw.reader.readuntil(b"\r\n")).split()[1])


async def test_headers_that_trickle_end_however_steadily_they_come(connect: Connect) -> None:
    slow = [await connect() for _ in range(5)]
    writing = [asyncio.create_task(trickle(raw, b"GET / HTTP/1.1\r\nx: y" * 10)) for raw in slow]
    assert await status_of(connect) == 200, "others are served meanwhile"
    started = time.monotonic()
    assert [await raw.rest() for raw in slow] == [b""] * 5
    assert time.monotonic() - started < 5
    for task in writing:
        task.cancel()


async def test_the_second_request_of_a_connection_is_no_slower(connect: Connect) -> None:
    raw = await connect()
    raw.writer.write(GET)
    assert (await raw.reader.readuntil(b"xx")).startswith(b"HTTP/1.1 200")
    await asyncio.sleep(2 * SHORT.header_seconds)
    raw.writer.write(GET[:10])
    await asyncio.sleep(SHORT.header_seconds / 4)
    raw.writer.write(GET[10:])
    assert (await raw.reader.readuntil(b"xx")).startswith(b"HTTP/1.1 200")
    writing = asyncio.create_task(trickle(raw, b"GET /" + b"x" * 1_000))
    assert await raw.rest() == b""
    writing.cancel()


async def test_a_body_that_trickles_after_its_answer_ends(connect: Connect) -> None:
    """Nobody reads it, so no time-out of an endpoint's applies."""
    raw = await connect()
    raw.writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
    writing = asyncio.create_task(trickle(raw, b"x" * 1_000))
    started = time.monotonic()
    assert (await raw.rest()).startswith(b"HTTP/1.1 200")
    assert time.monotonic() - started < 5
    writing.cancel()


async def test_a_body_whose_end_comes_after_its_answer_is_followed_by_a_request(
    connect: Connect,
) -> None:
    raw = await connect()
    raw.writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab")
    await raw.reader.readuntil(b"xx")
    raw.writer.write(b"cd")
    await asyncio.sleep(2 * SHORT.rest_seconds)
    raw.writer.write(GET)
    assert (await raw.reader.readuntil(b"xx")).startswith(b"HTTP/1.1 200")


async def test_who_keeps_silent_after_such_a_body_is_let_go() -> None:
    async with serving(SHORT._replace(keep_alive_seconds=1)) as connect:
        raw = await connect()
        raw.writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab")
        await raw.reader.readuntil(b"xx")
        raw.writer.write(b"cd")
        assert await raw.rest() == b""


async def test_a_client_that_never_reads_is_let_go_and_leaves_nothing() -> None:
    """Each crowd takes the memory of the one before: what is not given back would show."""
    own, used = psutil.Process(), list[int]()
    async with serving(SHORT) as connect:
        for _ in range(3):
            deaf = [await connect() for _ in range(8)]
            for raw in deaf:
                raw.writer.transport.pause_reading()  # type: ignore[attr-defined] # one for both ways
                raw.writer.write(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n" * 4)
            await asyncio.sleep(3 * SHORT.unread_seconds)
            assert await status_of(connect) == 200
            gc.collect()
            used.append(own.memory_info().rss)
            for raw in deaf:
                raw.writer.transport.resume_reading()  # type: ignore[attr-defined]
                assert len(await raw.rest()) < 16 * MEGABYTE, "it was sent everything"
    assert used[2] - used[1] < 60 * MEGABYTE, used


async def test_a_client_that_reads_slowly_but_steadily_gets_all(connect: Connect) -> None:
    raw = await connect()
    raw.writer.write(b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    size, pauses = 0, 0
    while piece := await raw.reader.read(256 * 1024):
        size += len(piece)
        if size > pauses * 2 * MEGABYTE:
            pauses += 1
            await asyncio.sleep(SHORT.unread_seconds / 2)
    assert size > 16 * MEGABYTE
    assert pauses >= 8


@pytest.mark.parametrize("count", [SHORT.connections, 4 * SHORT.connections])
async def test_too_many_connections_are_503_and_room_comes_back(
    connect: Connect, count: int
) -> None:
    files = psutil.Process().num_fds()
    crowd = [await connect() for _ in range(count)]
    answers = list[bytes]()
    for raw in crowd:
        raw.writer.write(GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
    for raw in crowd:
        answers.append(await raw.rest())
    served = sum(each.startswith(b"HTTP/1.1 200") for each in answers)
    busy = [each for each in answers if each.startswith(b"HTTP/1.1 503")]
    assert 0 < served < SHORT.connections
    assert busy
    assert served + len(busy) < 2 * SHORT.connections
    for each in busy:
        head, _, body = each.partition(b"\r\n\r\n")
        assert b"retry-after: 1" in head
        assert b"x-content-type-options: nosniff" in head
        assert orjson.loads(body)["status"] == 503
    for raw in crowd:
        raw.writer.transport.abort()
    await asyncio.sleep(0.1)
    assert await status_of(connect) == 200
    assert psutil.Process().num_fds() - files < SHORT.connections


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/1.1\r\nhost x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"x: " + b"y" * 5_000, 431),
        (b"GET /" + b"y" * 5_000, 431),
    ],
)  # fmt: skip
async def test_what_is_no_request_is_a_problem_like_any_other(
    connect: Connect, request_text: bytes, status: int
) -> None:
    raw = await connect()
    raw.writer.write(request_text)
    head, _, body = (await raw.rest()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    for header in (b"application/problem+json", b"nosniff", b"default-src 'none'"):
        assert header in head
    assert orjson.loads(body)["status"] == status


class Wire(asyncio.Transport):
    """Keeps what is written, by system call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[bytes] = []
        self.closed = False

    def writelines(self, list_of_data: Iterable[bytes]) -> None:  # type: ignore[override] # bytes
        assert not self.closed, "written to what is closed"
        self.calls.append(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return 5


async def test_what_is_written_in_one_turn_goes_out_together_and_no_later() -> None:
    wire = Wire()
    joined = JoinedWrites(wire, asyncio.get_running_loop())
    joined.write(b"head")
    joined.write(b"body")
    assert wire.calls == []
    assert joined.get_write_buffer_size() == 5 + 8
    await asyncio.sleep(0)
    assert wire.calls == [b"headbody"]
    joined.write(b"a first event")
    await asyncio.sleep(0)
    assert wire.calls[1:] == [b"a first event"], "a stream's parts do not wait for each other"
    joined.write(b"last words")
    joined.close()
    assert (wire.calls[2:], wire.closed) == ([b"last words"], True)
    await asyncio.sleep(0)
    assert len(wire.calls) == 3


async def test_what_is_left_for_a_client_that_is_gone_is_dropped() -> None:
    wire = Wire()
    joined = JoinedWrites(wire, asyncio.get_running_loop())
    joined.write(b"too late")
    wire.close()
    await asyncio.sleep(0)
    assert wire.calls == []
