"""The load generator: a process of its own that sends one kind of POST over kept connections.

It speaks HTTP/1.1 on bare sockets, since its CPU time is taken from the same cores. Times are
seconds of the machine's wall clock, which simulators and PostgreSQL share.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections import deque
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple, cast
from urllib.parse import urlsplit

import orjson
import uvloop
from pydantic import BaseModel

READY_LINE = b"ready\n"
LEAD_PLACE = b"bench-0000"
ANSWER_SECONDS = 60.0


class Plan(BaseModel):
    """What to send: `count` POSTs to `url`, each for the next of `leads` (1 to 9999) in turn.

    `body` names the lead as `bench-0000`. With a `rate` a second the sends are due at fixed
    times, whether or not the earlier ones were answered; without, each connection sends as soon
    as its answer is there. What happened is written to the file `report`.
    """

    url: str
    headers: dict[str, str] = {}
    body: str
    leads: int
    count: int
    connections: int
    rate: float | None = None
    report: Path


class Post(NamedTuple):
    """One POST: when it was due, when its answer was complete, and what the answer said."""

    due: float
    answered: float
    status: int
    run_id: str


class Report(BaseModel):
    """What the generator did, and what it used itself."""

    posts: list[Post]
    cpu_seconds: float
    memory_bytes: int


class HttpConnection(asyncio.Protocol):
    """A kept connection with at most one request under way; answers must have Content-Length."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no class of asyncio's, so this cannot be asked at run time.
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes) -> asyncio.Future[tuple[int, bytes]]:
        """Send a request; its answer's status and body."""
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport is None:
            self._answer.set_exception(ConnectionError("the server closed the connection"))
        else:
            self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0 or self._answer is None:
            return
        head = bytes(self._received[:head_end]).lower()
        length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        end = head_end + 4 + length
        if len(self._received) < end:
            return
        body = bytes(self._received[head_end + 4 : end])
        del self._received[:end]
        if not self._answer.done():
            self._answer.set_result((int(head[9:12]), body))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the server closed the connection"))


def write_requests(plan: Plan) -> list[bytes]:
    """The requests of all leads, as bytes on the wire."""
    url = urlsplit(plan.url)
    headers = {
        "host": url.netloc,
        "content-type": "application/json",
        "content-length": str(len(plan.body.encode())),
        **plan.headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"POST {url.path} HTTP/1.1\r\n{head}\r\n{plan.body}".encode()
    return [
        request.replace(LEAD_PLACE, name_lead(number).encode())
        for number in range(1, plan.leads + 1)
    ]


def name_lead(number: int) -> str:
    """The id of the benchmark's n-th lead."""
    return f"bench-{number:04d}"


class Load:
    """Carries out one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._requests = write_requests(plan)
        self._free: deque[HttpConnection] = deque()
        self.posts: list[Post] = []

    async def open(self) -> None:
        """Open all connections, so that the first requests do not pay for them."""
        url = urlsplit(self._plan.url)
        loop = asyncio.get_running_loop()
        for _ in range(self._plan.connections):
            _, connection = await loop.create_connection(
                HttpConnection, url.hostname or "", url.port or 80
            )
            self._free.append(connection)

    async def send_all(self) -> None:
        """Send what the plan says; returns when all is answered."""
        if self._plan.rate is None:
            await self._burst()
        else:
            await self._pace(self._plan.rate)

    async def _burst(self) -> None:
        numbers = iter(range(self._plan.count))

        async def keep_sending(connection: HttpConnection) -> None:
            for number in numbers:
                await self._send(connection, number, time.time())

        await asyncio.gather(*(keep_sending(connection) for connection in self._free))

    async def _pace(self, rate: float) -> None:
        waiting: deque[tuple[int, float]] = deque()
        senders: set[asyncio.Task[None]] = set()

        async def send_waiting(connection: HttpConnection) -> None:
            while waiting:
                await self._send(connection, *waiting.popleft())
            self._free.append(connection)

        start = time.time() + 0.05
        for number in range(self._plan.count):
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time.time()))
            # A request that finds no free connection is late from now on: its time runs from
            # when it was due, or a slow server would slow its own measurement down.
            waiting.append((number, due))
            if self._free:
                sender = asyncio.create_task(send_waiting(self._free.popleft()))
                senders.add(sender)
                sender.add_done_callback(senders.discard)
        while senders:
            await asyncio.gather(*senders)

    async def _send(self, connection: HttpConnection, number: int, due: float) -> None:
        request = self._requests[number % len(self._requests)]
        async with asyncio.timeout(ANSWER_SECONDS):
            status, body = await connection.ask(request)
        answered = time.time()
        run_id = orjson.loads(body)["runId"] if status == HTTPStatus.ACCEPTED else ""
        self.posts.append(Post(due, answered, status, run_id))


async def carry_out(plan: Plan) -> list[Post]:
    """Open the connections, wait for a line on the standard input, send all."""
    load = Load(plan)
    await load.open()
    sys.stdout.buffer.write(READY_LINE)
    sys.stdout.buffer.flush()
    await asyncio.to_thread(sys.stdin.buffer.readline)
    await load.send_all()
    return load.posts


def main() -> None:
    """Read the plan from the first line of the standard input; write the report."""
    plan = Plan.model_validate_json(sys.stdin.buffer.readline())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        posts = runner.run(carry_out(plan))
    used = resource.getrusage(resource.RUSAGE_SELF)
    report = Report(
        posts=posts,
        cpu_seconds=used.ru_utime + used.ru_stime,
        memory_bytes=used.ru_maxrss * 1024,
    )
    plan.report.write_text(report.model_dump_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
