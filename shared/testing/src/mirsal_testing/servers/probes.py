"""One question to each kind of server, in its own protocol: does it answer?"""

import asyncio
import struct
from urllib.parse import urlsplit

import asyncpg

_ANSWER_WITHIN = 1.0
_API_VERSIONS = 18
_CORRELATION = 7


async def kafka_answers(bootstrap: str, within: float = _ANSWER_WITHIN) -> bool:
    """Whether any of the `host:port` in a bootstrap list answers ApiVersions."""
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        # Header version 1: API key, version 0, correlation id, null client id.
        body = struct.pack(">hhih", _API_VERSIONS, 0, _CORRELATION, -1)
        request = struct.pack(">i", len(body)) + body
        answer = await _ask(host or "127.0.0.1", int(port), request, 10, within)
        # Size, the correlation id again, and error code 0.
        if len(answer) == 10 and struct.unpack(">iih", answer)[1:] == (_CORRELATION, 0):
            return True
    return False


async def postgres_answers(url: str, within: float = _ANSWER_WITHIN) -> bool:
    """Whether a session can be opened and a statement run."""
    try:
        async with asyncio.timeout(within):
            connection = await asyncpg.connect(url, timeout=within)
            try:
                return bool(await connection.fetchval("SELECT true"))
            finally:
                connection.terminate()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


async def valkey_answers(host: str, port: int, within: float = _ANSWER_WITHIN) -> bool:
    """Whether it answers PING; `-LOADING` does not count."""
    return await _ask(host, port, b"PING\r\n", 7, within) == b"+PONG\r\n"


async def _ask(host: str, port: int, request: bytes, length: int, within: float) -> bytes:
    try:
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(request)
                return await reader.readexactly(length)
            finally:
                writer.transport.abort()
    except (OSError, asyncio.IncompleteReadError):
        # A timeout is an OSError too.
        return b""


async def http_answers(url: str, within: float = 2.0) -> bool:
    """Whether GET on a plain `http://` URL of this machine is answered with 200."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    lines = (f"GET {parts.path or '/'} HTTP/1.1", f"Host: {host}:{port}", "Connection: close", "")
    request = "".join(f"{line}\r\n" for line in lines).encode("ascii")
    answer = await _ask(host, port, request, 12, within)
    return answer.startswith(b"HTTP/1.") and answer.endswith(b" 200")
