"""A TCP proxy that makes a network bad: late, thin, half open, refusing, reset.

It knows nothing of what it carries, and never loses or changes a byte of a connection that lives
on: what is blocked waits, as in a real partition, and flows when the proxy is healed.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from mirsal_testing.faults.sever import sever

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

CONNECT_SECONDS = 5.0
CHUNK = 65_536
CHUNKS_UNDER_WAY = 64
SLICES_PER_SECOND = 20


class Direction(StrEnum):
    """Which way bytes go. A fault without one is in both."""

    TO_SERVER = "to_server"
    TO_CLIENT = "to_client"


BOTH = tuple(Direction)


@dataclass
class Lane:
    """One direction of all connections: its conditions now, and what it has carried."""

    latency: float = 0.0
    jitter: float = 0.0
    bytes_per_second: float | None = None
    carried: int = 0
    passable: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.passable.set()

    def heal(self) -> None:
        self.latency, self.jitter, self.bytes_per_second = 0.0, 0.0, None
        self.passable.set()

    def delay(self) -> float:
        return self.latency + random.random() * self.jitter  # noqa: S311 - no secret

    async def write(self, chunk: bytes, writer: asyncio.StreamWriter) -> None:
        """Hands a chunk on, in slices where the lane is thin."""
        while chunk:
            await self.passable.wait()
            rate = self.bytes_per_second
            size = len(chunk) if rate is None else max(1, int(rate / SLICES_PER_SECOND))
            piece, chunk = chunk[:size], chunk[size:]
            writer.write(piece)
            await writer.drain()
            self.carried += len(piece)
            if rate is not None:
                await asyncio.sleep(len(piece) / rate)


@dataclass(eq=False)
class _Link:
    """One client's connection, joined to its own connection to the server."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter

    def sever(self) -> None:
        for writer in (self.client, self.server):
            if not writer.transport.is_closing():
                sever(writer.transport, reset=True)


class TcpProxy:
    """`async with TcpProxy("127.0.0.1", 5432) as proxy:`, then connect to `proxy.port`.

    Faults meet open and new connections alike, last until `heal`, and add up.
    """

    def __init__(self, server_host: str, server_port: int, *, port: int = 0) -> None:
        self.host = "127.0.0.1"
        self.port = port
        self.accepted = 0
        self.lanes = {direction: Lane() for direction in Direction}
        self._target = (server_host, server_port)
        self._listener: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def open_connections(self) -> int:
        return len(self._links)

    def delay(
        self, latency: float, jitter: float = 0.0, directions: Iterable[Direction] = BOTH
    ) -> None:
        """Bytes arrive `latency` seconds later, plus up to `jitter`; as many a second as before."""
        for direction in directions:
            self.lanes[direction].latency = latency
            self.lanes[direction].jitter = jitter

    def throttle(self, bytes_per_second: float, directions: Iterable[Direction] = BOTH) -> None:
        """Each connection carries so little a second, in small slices; 1 is a byte a second."""
        if bytes_per_second <= 0:
            raise ValueError("bytes_per_second must be positive: use blackhole to carry nothing")
        for direction in directions:
            self.lanes[direction].bytes_per_second = bytes_per_second

    def blackhole(self, directions: Iterable[Direction] = BOTH) -> None:
        """Nothing passes, not even the end of a connection: either side thinks the other lives.

        New connections are accepted and stay silent. In one direction only: half open.
        """
        for direction in directions:
            self.lanes[direction].passable.clear()

    async def refuse(self) -> None:
        """Resets every connection and listens no more: who connects is refused."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        await self.reset()

    async def reset(self) -> int:
        """Ends every open connection by a TCP reset on both sides. Says how many that were."""
        links = list(self._links)
        for link in links:
            link.sever()
        # Lets both loops of each connection see its end before the caller goes on.
        await asyncio.sleep(0)
        return len(links)

    async def heal(self) -> None:
        """Ends all faults: what waited flows on, and the same port listens again."""
        for lane in self.lanes.values():
            lane.heal()
        if self._listener is None:
            await self._listen()

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._accept, self.host, self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.create_task(self._join(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                server_reader, server_writer = await asyncio.open_connection(*self._target)
        except (OSError, asyncio.CancelledError):
            sever(writer.transport, reset=True)
            return
        link = _Link(writer, server_writer)
        self._links.add(link)
        try:
            await asyncio.gather(
                self._carry(reader, server_writer, self.lanes[Direction.TO_SERVER], link),
                self._carry(server_reader, writer, self.lanes[Direction.TO_CLIENT], link),
            )
        finally:
            self._links.discard(link)
            writer.close()
            server_writer.close()

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        lane: Lane,
        link: _Link,
    ) -> None:
        """One direction of one connection, from its first byte to its end."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_UNDER_WAY)
        reading = asyncio.create_task(_take_in(reader, lane, under_way))
        try:
            while True:
                due, chunk = await under_way.get()
                await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
                if not chunk:
                    break
                await lane.write(chunk, writer)
            await reading
            await lane.passable.wait()
            writer.write_eof()
        except OSError:
            # A reset passes on like any other news: only where the lane is passable.
            await lane.passable.wait()
            link.sever()
        finally:
            reading.cancel()


async def _take_in(
    reader: asyncio.StreamReader, lane: Lane, under_way: asyncio.Queue[tuple[float, bytes]]
) -> None:
    """Queues what arrives with the time at which it is due. Empty bytes mark the end."""
    loop = asyncio.get_running_loop()
    try:
        while True:
            chunk = await reader.read(CHUNK)
            await under_way.put((loop.time() + lane.delay(), chunk))
            if not chunk:
                return
    except OSError:
        await under_way.put((loop.time() + lane.delay(), b""))
        raise
