"""Broken connections and odd answers on real sockets: what proves that nothing was sent."""

import asyncio
import logging
import re
import socket
import struct
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    OutcomeUnknown,
    PermanentError,
    RetryableError,
    ThrottledError,
)
from mirsal_testing.commands import make_command
from whatsapp_worker.cloud_api import MOST_BYTES, CloudApi, open_cloud_api
from whatsapp_worker.params import WhatsAppParams, WhatsAppResult
from whatsapp_worker.send import send_whatsapp
from whatsapp_worker.settings import WhatsAppSettings

SECRET = "EAAB-s3cr3t-t0ken"
GOOD = b'{"contacts":[{"wa_id":"966501234567"}],"messages":[{"id":"wamid.1"}]}'
CLOSE, RESET, SILENCE = b"close", b"reset", b"silence"

OpenApi = Callable[..., AbstractAsyncContextManager[CloudApi]]


def answer(body: bytes = GOOD, status: str = "200 OK", headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


class RawServer:
    """Answers each request with the next of `answers`, or as the Cloud API would."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self.url = ""
        self.listener: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            while await self._answer_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        self.requests.append(head + body)
        chosen = self.answers.pop(0) if self.answers else answer()
        if chosen == SILENCE:
            await reader.read()
            return False
        if chosen == RESET:
            handle: socket.socket = writer.get_extra_info("socket")
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if chosen in (CLOSE, RESET):
            return False
        writer.write(chosen)
        await writer.drain()
        return b"Connection: close" not in chosen

    async def leave(self) -> None:
        """Close every connection, and take no other."""
        assert self.listener is not None
        self.listener.close()
        await self.hang_up()

    async def hang_up(self) -> None:
        """Close every connection, and let the other side notice."""
        for writer in self._writers:
            writer.close()
        await asyncio.sleep(0.05)


class Attempt:
    """One attempt; `meanwhile` happens while the claim is pending."""

    traceparent = ""

    def __init__(
        self, seconds: float = 5.0, meanwhile: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._seconds = seconds
        self._meanwhile = meanwhile
        self.claims = 0
        self.command = make_command("whatsapp")

    async def claim(self) -> float:
        self.claims += 1
        if self._meanwhile is not None:
            await self._meanwhile()
        return self._seconds


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    raw = RawServer()
    raw.listener = listener = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    raw.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        yield raw
        await raw.hang_up()


async def send(api: CloudApi, attempt: Attempt | None = None) -> WhatsAppResult:
    params = WhatsAppParams(to="+966501234567", text="مرحباً")
    return await send_whatsapp(params, attempt or Attempt(), api)


async def test_the_claim_stands_between_the_connection_and_the_first_byte(
    server: RawServer, open_api: OpenApi
) -> None:
    seen: list[tuple[int, int]] = []

    async def look() -> None:
        await asyncio.sleep(0.05)
        seen.append((server.connections, len(server.requests)))

    async with open_api(server.url) as api:
        await send(api, Attempt(meanwhile=look))
        await send(api, Attempt(meanwhile=look))
    assert seen == [(1, 0), (1, 1)]
    assert len(server.requests) == 2


async def test_a_refused_connection_is_surely_not_sent(
    open_api: OpenApi, unused_tcp_port: int
) -> None:
    attempt = Attempt()
    async with open_api(f"http://127.0.0.1:{unused_tcp_port}") as api:
        with pytest.raises(RetryableError, match="ClientConnectorError"):
            await send(api, attempt)
    assert attempt.claims == 0


async def test_a_name_that_nobody_knows_is_surely_not_sent(open_api: OpenApi) -> None:
    attempt = Attempt()
    async with open_api("https://whatsapp.invalid") as api:
        with pytest.raises(RetryableError, match="ClientConnectorDNSError"):
            await send(api, attempt)
    assert attempt.claims == 0


async def test_a_connection_that_takes_too_long_is_surely_not_sent(open_api: OpenApi) -> None:
    attempt = Attempt()
    # A listener whose queue is full: the kernel leaves further connections unanswered.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        async with open_api(f"http://127.0.0.1:{port}", CONNECT_SECONDS=0.1) as api:
            with pytest.raises(RetryableError, match="ConnectionTimeoutError"):
                await send(api, attempt)
        for each in waiting:
            each.close()
    assert attempt.claims == 0


@pytest.mark.parametrize("fault", [CLOSE, RESET, SILENCE])
@pytest.mark.parametrize("kept", [False, True], ids=["new connection", "kept connection"])
async def test_no_answer_after_the_request_is_unknown_and_never_repeated(
    server: RawServer, open_api: OpenApi, fault: bytes, kept: bool
) -> None:
    """A kept connection that the server closes just as we write is where clients like to retry."""
    async with open_api(server.url) as api:
        if kept:
            await send(api)
        server.answers = [fault]
        with pytest.raises(OutcomeUnknown) as unknown:
            await send(api, Attempt(seconds=0.2))
        assert unknown.value.code == "whatsapp_no_answer"
        assert (server.connections, len(server.requests)) == (1, 2 if kept else 1)
        assert (await send(api)).message_id == "wamid.1"
        assert server.connections == 2


async def test_a_kept_connection_that_the_server_closed_is_not_used(
    server: RawServer, open_api: OpenApi
) -> None:
    async with open_api(server.url) as api:
        await send(api)
        await server.hang_up()
        await send(api)
    assert (server.connections, len(server.requests)) == (2, 2)


async def test_a_connection_that_closes_while_the_claim_is_pending_is_replaced(
    server: RawServer, open_api: OpenApi
) -> None:
    """Some servers close after each answer without saying so."""
    async with open_api(server.url) as api:
        for _ in range(3):
            attempt = Attempt(meanwhile=server.hang_up)
            assert (await send(api, attempt)).message_id == "wamid.1"
            assert attempt.claims == 1
    assert len(server.requests) == 3


async def test_a_connection_that_closes_and_cannot_be_replaced_is_surely_not_sent(
    server: RawServer, open_api: OpenApi
) -> None:
    async with open_api(server.url) as api:
        attempt = Attempt(meanwhile=server.leave)
        with pytest.raises(RetryableError, match="ClientConnectorError"):
            await send(api, attempt)
    assert (attempt.claims, server.requests) == (1, [])


async def test_an_idle_connection_is_closed_before_the_provider_would(
    server: RawServer, open_api: OpenApi
) -> None:
    async with open_api(server.url, IDLE_SECONDS=0.05) as api:
        await send(api)
        await asyncio.sleep(0.1)
        await send(api)
    assert server.connections == 2


async def test_connections_are_limited_and_kept(server: RawServer, open_api: OpenApi) -> None:
    async with open_api(server.url, CONNECTIONS=3) as api:
        await asyncio.gather(*(send(api) for _ in range(12)))
        await send(api)
    assert (server.connections, len(server.requests)) == (3, 13)


ERROR = b'{"error":{"code":131000,"message":"Something went wrong"}}'
UNKNOWN: list[bytes] = [
    answer(b"", "500 Internal Server Error"),
    answer(b"<html>Bad Gateway</html>", "502 Bad Gateway"),
    answer(b'{"message":"not Meta\'s"}', "503 Service Unavailable", "Retry-After: 5\r\n"),
    answer(b'{"error":"text"}', "500 Internal Server Error"),
    answer(b'{"error":{"message":"no code"}}', "500 Internal Server Error"),
    answer(b"", "504 Gateway Timeout"),
    answer(b"", "408 Request Timeout"),
    answer(b"{}"),
    answer(b""),
    answer(b"not json"),
    answer(b"[]"),
    answer(b'{"messages":[]}'),
    answer(b'{"messages":[{}]}'),
    answer(b'{"messages":[{"id":7}]}'),
    answer(b'{"messages":[{"id":""}]}'),
    answer(b'{"messages":[{"id":"a\\nb"}]}'),
    answer(b'{"messages":{"id":"x"}}'),
    answer(b'{"success":true}', "204 No Content"),
    answer(b'{"error":{"message":"no code"}}'),
    answer(b'{"error":{"code":131026},"messages":[{}]}'),
    answer(GOOD + b" " * MOST_BYTES),
    answer(GOOD)[:-5] + b"\xff\xff\xff\xff\xff",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 400\r\n\r\n" + GOOD,
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"Connection: close\r\n\r\nnot http at all",
    b"HTTP/1.1 2\r\nConnection: close\r\n\r\n",
    answer(GOOD, headers="Content-Encoding: gzip\r\n")[: -len(GOOD)] + b"\x1f\x8b" + GOOD[2:],
]


@pytest.mark.parametrize("raw", UNKNOWN, ids=lambda raw: str(raw[:60]))
async def test_answers_that_prove_nothing(server: RawServer, open_api: OpenApi, raw: bytes) -> None:
    server.answers = [raw]
    async with open_api(server.url) as api:
        with pytest.raises(OutcomeUnknown):
            await send(api)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (answer(ERROR, "500 Internal Server Error"), RetryableError),
        (answer(ERROR, "400 Bad Request"), RetryableError),
        (answer(b"", "429 Too Many Requests"), ThrottledError),
        (answer(b"<html>Not Found</html>", "404 Not Found"), ActionRequired),
        (answer(b"", "401 Unauthorized"), ActionRequired),
        (answer(b"", "413 Content Too Large"), PermanentError),
        (answer(b'{"error":{"code":131026,"message":"Undeliverable"}}'), PermanentError),
        (answer(b"", "302 Found", "Location: /elsewhere\r\n"), ActionRequired),
        (answer(b"", "307 Temporary Redirect", "Location: /elsewhere\r\n"), ActionRequired),
    ],
)
async def test_answers_that_prove_that_nothing_was_sent(
    server: RawServer, open_api: OpenApi, raw: bytes, kind: type[AttemptFailure]
) -> None:
    server.answers = [raw]
    async with open_api(server.url) as api:
        with pytest.raises(kind):
            await send(api)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("17", 17),
        ("0", 60),
        ("soon", 60),
        ("-5", 60),
        ("9" * 30, 86_400),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 60),
        ("Fri, 31 Dec 9998 23:59:59 GMT", 86_400),
        ("Fri, 31 Dec 99999999999999 23:59:59 GMT", 60),
    ],
)
async def test_retry_after(server: RawServer, open_api: OpenApi, header: str, wait: float) -> None:
    server.answers = [answer(b"", "429 Too Many Requests", f"Retry-After: {header}\r\n")]
    async with open_api(server.url) as api:
        with pytest.raises(ThrottledError) as throttled:
            await send(api)
    assert throttled.value.retry_after == wait


async def test_the_number_is_ours_where_the_answer_does_not_say(
    server: RawServer, open_api: OpenApi
) -> None:
    server.answers = [answer(b'{"messages":[{"id":"wamid.1"}],"contacts":[{"wa_id":{}}]}')]
    async with open_api(server.url) as api:
        assert (await send(api)).to == "966501234567"


@pytest.mark.parametrize(
    "raw",
    [
        answer(f'{{"error":{{"code":190,"message":"Bad {SECRET}"}}}}'.encode(), "401 Unauthorized"),
        answer(SECRET.encode(), "500 Internal Server Error"),
        f"HTTP/1.1 {SECRET}\r\nConnection: close\r\n\r\n".encode(),
        CLOSE,
    ],
)
async def test_the_token_shows_up_nowhere(
    server: RawServer, open_api: OpenApi, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answers = [raw]
    async with open_api(server.url) as api:
        with pytest.raises(AttemptFailure) as failed:
            await send(api)
    assert f"Bearer {SECRET}".encode() in server.requests[0]
    said = "".join(traceback.format_exception(failed.value)) + repr(vars(failed.value))
    assert SECRET not in said + repr(failed.value.__cause__) + caplog.text


async def test_settings_that_cannot_work_are_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MIRSAL_WHATSAPP_PHONE_NUMBER_ID", "1/2")
    monkeypatch.setenv("MIRSAL_WHATSAPP_TOKEN", f"{SECRET}\r\nX: y")
    monkeypatch.setenv("MIRSAL_WHATSAPP_DEFAULT_REGION", "Mars")
    monkeypatch.setenv("MIRSAL_WHATSAPP_BASE_URL", "ftp://example.com")
    with pytest.raises(ValueError, match="4 validation errors") as refused:
        async with open_cloud_api(WhatsAppSettings()):
            pass
    assert SECRET not in str(refused.value)
