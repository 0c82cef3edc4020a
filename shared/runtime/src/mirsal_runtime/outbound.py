"""Calls of URLs that users give: guarded, so that no such URL reaches what is not public.

Nothing else of Mirsal may call a user's URL.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any, Final, NamedTuple, Self, TypeAlias

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from mirsal_runtime.outbound_rules import AddressRefused, OutboundRules

ANSWER_BYTES: Final = 64 * 1024
HEADER_BYTES: Final = 4096
HEADERS: Final = 64
LOOKUP_THREADS: Final = 32
"""Of our own: names that nobody answers for must not hold up what else runs in threads."""

Lookup: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name. Raises `OSError`."""


class CallFailed(Exception):
    """There was no whole answer; the text says why, in words that the URL's user may read."""


class Answer(NamedTuple):
    """What was answered. Of its body nothing is kept."""

    status: int
    retry_after: str | None
    seconds: float


class GuardedClient:
    """Calls users' URLs. Use as a context manager.

    The address is checked on the socket that connects, so that it is the one that was looked up
    and checked, whatever the name says a moment later. No redirect is followed, no proxy asked,
    no cookie kept; an answer is read up to `ANSWER_BYTES`. `seconds` bounds a call as a whole.
    """

    def __init__(
        self,
        rules: OutboundRules,
        *,
        seconds: float,
        calls: int = 100,
        lookup: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._rules = rules
        self._seconds = seconds
        self._calls = calls
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._resolver = _CheckedResolver(rules, lookup)

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            resolver=self._resolver,
            use_dns_cache=False,
            socket_factory=self._open_socket,
            ssl=True if self._tls is None else self._tls,
            limit=self._calls,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._seconds),
            auto_decompress=False,
            trust_env=False,
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
            max_headers=HEADERS,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
        await self._resolver.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Raises `AddressRefused` for a URL that is not called, and `CallFailed`."""
        if self._session is None:
            raise RuntimeError("use the client as a context manager")
        self._rules.read_url(url)
        begun = time.monotonic()
        try:
            async with self._session.post(
                url, data=body, headers=headers, allow_redirects=False
            ) as response:
                await _read_some(response)
                seconds = time.monotonic() - begun
                return Answer(response.status, response.headers.get("Retry-After"), seconds)
        except TimeoutError as error:
            raise CallFailed(f"no answer within {self._seconds:g} s") from error
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, AddressRefused):
                raise error.os_error from error
            raise CallFailed(_reason(error)) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise CallFailed(_reason(error)) from error

    def _open_socket(self, info: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
        """The last word: nothing connects but by a socket from here."""
        family, kind, protocol, _, address = info
        self._rules.refuse_address(ip_address(address[0]), address[1])
        return socket.socket(family, kind, protocol)


class _CheckedResolver(AbstractResolver):
    """Looks a name up once; a name with any address that is refused is refused."""

    def __init__(self, rules: OutboundRules, lookup: Lookup | None) -> None:
        self._rules = rules
        self._lookup = lookup or self._ask_system
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, "lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """See `AbstractResolver.resolve`."""
        found = [ip_address(each) for each in await self._lookup(host, port)]
        if not found:
            raise OSError(f"{host} has no address")
        for address in found:
            self._rules.refuse_address(address, port)
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in found
        ]

    async def close(self) -> None:
        """Forget what is still being looked up."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask_system(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return [str(address[0]) for *_, address in found]


async def _read_some(response: aiohttp.ClientResponse) -> None:
    """Read the body so that the connection can be used again, but no more than the bound."""
    left = ANSWER_BYTES
    while chunk := await response.content.read(left):
        left -= len(chunk)
        if left <= 0:
            response.close()
            return


def _reason(error: BaseException) -> str:
    """What went wrong, without addresses: they would tell of the network where this runs."""
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return "the TLS certificate is not good, or TLS is not spoken"
        case aiohttp.ClientConnectorDNSError():
            return "the host's name is not known"
        case aiohttp.ClientConnectorError():
            return "no connection"
        case aiohttp.ServerDisconnectedError():
            return "the connection ended without an answer"
        case _:
            return f"the answer cannot be read ({type(error).__name__})"
