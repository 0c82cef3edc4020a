"""The TCP proxy of the chaos tests, between a real client and a real server."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from mirsal_testing.faults import Direction, TcpProxy, sever

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DEADLINE = 5.0
SILENCE = 0.15


class EchoServer:
    """Sends back what it gets, and remembers it."""

    def __init__(self) -> None:
        self.received = b""
        self.ended = asyncio.Event()
        self.reset = asyncio.Event()
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while chunk := await reader.read(65_536):
                self.received += chunk
                writer.write(chunk)
                await writer.drain()
            self.ended.set()
        except ConnectionError:
            self.reset.set()
        finally:
            writer.close()


class Client:
    """One connection with a deadline for every wait."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, proxy: TcpProxy) -> Client:
        async with asyncio.timeout(DEADLINE):
            return cls(*await asyncio.open_connection(proxy.host, proxy.port))

    async def ask(self, sent: bytes) -> bytes:
        self.writer.write(sent)
        return await self.read(len(sent))

    async def read(self, length: int) -> bytes:
        async with asyncio.timeout(DEADLINE):
            return await self.reader.readexactly(length)

    async def hears_nothing(self) -> bool:
        try:
            async with asyncio.timeout(SILENCE):
                await self.reader.read(1)
        except TimeoutError:
            return True
        return False


@pytest_asyncio.fixture
async def echo() -> AsyncIterator[EchoServer]:
    yield EchoServer()


@pytest_asyncio.fixture
async def proxy(echo: EchoServer) -> AsyncIterator[TcpProxy]:
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    async with TcpProxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        yield proxy
    server.close()
    await asyncio.sleep(0)


@pytest_asyncio.fixture
async def client(proxy: TcpProxy) -> AsyncIterator[Client]:
    client = await Client.connect(proxy)
    yield client
    client.writer.close()


async def wait(event: asyncio.Event) -> None:
    async with asyncio.timeout(DEADLINE):
        await event.wait()


async def test_a_healthy_proxy_changes_nothing(proxy: TcpProxy, client: Client) -> None:
    sent = bytes(range(256)) * 8_000
    assert await client.ask(sent) == sent
    assert proxy.lanes[Direction.TO_SERVER].carried == len(sent)
    assert proxy.lanes[Direction.TO_CLIENT].carried == len(sent)
    assert (proxy.accepted, proxy.open_connections) == (1, 1)


async def test_an_end_is_carried_like_bytes(echo: EchoServer, client: Client) -> None:
    client.writer.write(b"last")
    client.writer.write_eof()
    await wait(echo.ended)
    assert await client.read(4) == b"last"
    assert await client.reader.read() == b""


async def test_latency_is_added_once_and_not_for_each_chunk(
    proxy: TcpProxy, client: Client
) -> None:
    proxy.delay(0.2, directions=[Direction.TO_SERVER])
    begun = time.monotonic()
    for number in range(20):
        client.writer.write(bytes([number]))
        await asyncio.sleep(0.01)
    assert await client.read(20) == bytes(range(20))
    # One after the other they would take four seconds.
    assert 0.2 <= time.monotonic() - begun < 3


async def test_jitter_keeps_the_order(proxy: TcpProxy, client: Client) -> None:
    proxy.delay(0.0, jitter=0.02)
    for number in range(50):
        client.writer.write(bytes([number]))
        await asyncio.sleep(0)
    assert await client.read(50) == bytes(range(50))


async def test_a_thin_line_slices_and_a_healed_one_does_not(
    proxy: TcpProxy, client: Client
) -> None:
    proxy.throttle(20, directions=[Direction.TO_CLIENT])
    begun = time.monotonic()
    client.writer.write(b"x" * 1_000)
    assert await client.read(4) == b"xxxx"
    assert time.monotonic() - begun >= 0.15
    assert proxy.lanes[Direction.TO_CLIENT].carried < 100
    await proxy.heal()
    assert await client.read(996) == b"x" * 996


async def test_a_lost_answer_was_received_all_the_same(
    proxy: TcpProxy, echo: EchoServer, client: Client
) -> None:
    assert await client.ask(b"before") == b"before"
    proxy.blackhole([Direction.TO_CLIENT])
    client.writer.write(b"during")
    assert await client.hears_nothing()
    assert echo.received == b"beforeduring"
    await proxy.heal()
    assert await client.read(6) == b"during"


async def test_a_half_open_connection_does_not_show_the_others_end(
    proxy: TcpProxy, echo: EchoServer, client: Client
) -> None:
    await client.ask(b"x")
    proxy.blackhole()
    sever(client.writer.transport, reset=True)
    await asyncio.sleep(SILENCE)
    assert not echo.ended.is_set()
    assert not echo.reset.is_set()
    await proxy.heal()
    await wait(echo.reset)


async def test_a_blackhole_takes_new_connections_in_silence(
    proxy: TcpProxy, echo: EchoServer
) -> None:
    proxy.blackhole()
    client = await Client.connect(proxy)
    client.writer.write(b"hello")
    assert await client.hears_nothing()
    assert echo.received == b""
    await proxy.heal()
    assert await client.read(5) == b"hello"
    client.writer.close()


async def test_reset_ends_both_sides_by_a_reset(
    proxy: TcpProxy, echo: EchoServer, client: Client
) -> None:
    await client.ask(b"x")
    assert await proxy.reset() == 1
    with pytest.raises(ConnectionResetError):
        await client.read(1)
    await wait(echo.reset)
    again = await Client.connect(proxy)
    assert await again.ask(b"y") == b"y"
    again.writer.close()


async def test_a_reset_of_the_server_reaches_the_client(echo: EchoServer, client: Client) -> None:
    await client.ask(b"x")
    sever(echo.writers[0].transport, reset=True)
    with pytest.raises(ConnectionResetError):
        await client.read(1)


async def test_refused_until_healed(proxy: TcpProxy, client: Client) -> None:
    await client.ask(b"x")
    await proxy.refuse()
    with pytest.raises(ConnectionResetError):
        await client.read(1)
    with pytest.raises(ConnectionRefusedError):
        await Client.connect(proxy)
    await proxy.heal()
    again = await Client.connect(proxy)
    assert await again.ask(b"y") == b"y"
    again.writer.close()


async def test_no_server_behind_is_a_reset() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with TcpProxy("127.0.0.1", unused.getsockname()[1]) as proxy:
            client = await Client.connect(proxy)
            with pytest.raises(ConnectionResetError):
                await client.read(1)
            client.writer.close()


async def test_closing_ends_what_is_blocked(echo: EchoServer) -> None:
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    async with TcpProxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        client = await Client.connect(proxy)
        await client.ask(b"x")
        proxy.blackhole()
        client.writer.write(b"y")
    with pytest.raises(ConnectionResetError):
        await client.read(1)
    client.writer.close()
    server.close()
    await wait(echo.reset)


def test_a_rate_of_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="blackhole"):
        TcpProxy("127.0.0.1", 1).throttle(0)
