"""No URL of a corpus reaches a canary on loopback; allowed ones are called where it was checked."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
import trustme
from mirsal_runtime.outbound import ANSWER_BYTES, CallFailed, GuardedClient
from mirsal_runtime.outbound_rules import AddressRefused, OutboundRules, is_public
from mirsal_runtime.settings import OutboundSettings

CORPUS: list[dict[str, Any]] = orjson.loads(
    Path(__file__).with_name("data").joinpath("refused_urls.json").read_bytes()
)
LOOPBACK = (ip_network("127.0.0.0/8"),)
OK = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"


class Canary:
    """A listener that counts who comes, and answers each with the same bytes."""

    def __init__(self, answer: bytes = OK) -> None:
        self.answer = answer
        self.connections = 0
        self.requests: list[bytes] = []
        self.port = 0
        self.open: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        self.open.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.requests.append(head)
                writer.write(self.answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.open.discard(writer)


@asynccontextmanager
async def canary_of(
    answer: bytes = OK,
    tls: ssl.SSLContext | None = None,
    hosts: tuple[str, ...] = ("127.0.0.1", "::1"),
    port: int = 0,
) -> AsyncIterator[Canary]:
    """A canary on loopback; on ::1 too where there is one."""
    canary = Canary(answer)
    server = await asyncio.start_server(canary.serve, hosts[0], port, ssl=tls)
    canary.port = server.sockets[0].getsockname()[1]
    servers = [server]
    try:
        if len(hosts) > 1:
            servers.append(await asyncio.start_server(canary.serve, hosts[1], canary.port, ssl=tls))
    except OSError:
        pass  # No IPv6 here: then nothing can be reached by it either.
    try:
        yield canary
    finally:
        for server in servers:
            server.close()
        for writer in canary.open:
            writer.transport.abort()
        while canary.open:
            await asyncio.sleep(0)


class Names:
    """Answers look-ups, each time the next of its answers, and counts them."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The next answer; the last one again and again."""
        self.asked += 1
        return self._answers[min(self.asked, len(self._answers)) - 1]


def client_of(
    canary: Canary, *, loopback: bool = False, lookup: Names | None = None, **more: Any
) -> GuardedClient:
    """A client to which the canary's port is as good as 80."""
    rules = OutboundRules(LOOPBACK if loopback else (), (80, 443, canary.port))
    return GuardedClient(rules, **{"seconds": 5.0, "lookup": lookup, **more})


async def test_no_url_of_the_corpus_reaches_the_canary() -> None:
    assert len(CORPUS) >= 60
    reached = []
    async with canary_of() as canary:
        for case in CORPUS:
            names = Names(*case.get("lookups", [["127.0.0.1"]]))
            url = case["url"].replace("{port}", str(canary.port))
            async with client_of(canary, lookup=names) as client:
                for _ in range(2):
                    with pytest.raises(AddressRefused):
                        await client.post(url, b"{}", {})
            if canary.connections:
                reached.append(url)
                canary.connections = 0
    assert reached == []


async def test_the_canary_is_reached_where_loopback_is_allowed() -> None:
    """Else the test above would prove nothing."""
    async with canary_of() as canary, client_of(canary, loopback=True) as client:
        answer = await client.post(f"http://127.0.0.1:{canary.port}/hook", b"{}", {"x-a": "b"})
        assert (answer.status, canary.connections) == (204, 1)
        assert canary.requests[0].startswith(b"POST /hook HTTP/1.1\r\n")


async def test_the_socket_is_checked_even_if_nothing_before_it_is() -> None:
    """What is connected to decides: neither the URL nor the resolver is believed."""
    async with canary_of() as canary, client_of(canary) as client:
        with pytest.raises(AddressRefused):
            client._open_socket((2, 1, 6, "", ("127.0.0.1", canary.port)))


async def test_a_name_that_changes_its_mind_reaches_only_what_was_checked() -> None:
    """Here 127.0.0.2 stands for the Internet and 127.0.0.1 for what is within."""
    names = Names(["127.0.0.2"], ["127.0.0.1"])
    async with (
        canary_of() as canary,
        canary_of(b"HTTP/1.1 200 OK\r\n", hosts=("127.0.0.2",), port=canary.port) as outside,
    ):
        rules = OutboundRules((ip_network("127.0.0.2/32"),))
        async with GuardedClient(rules, seconds=0.3, lookup=names) as client:
            url = f"http://hooks.example:{canary.port}/"
            with pytest.raises(CallFailed, match="no answer"):
                await client.post(url, b"{}", {})
            assert (outside.connections, names.asked) == (1, 1)
            with pytest.raises(AddressRefused):
                await client.post(url, b"{}", {})
        assert (outside.connections, canary.connections) == (1, 0)


async def test_a_name_is_looked_up_once_a_call() -> None:
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    async with canary_of() as canary, client_of(canary, loopback=True, lookup=names) as client:
        url = f"http://hooks.example:{canary.port}/"
        assert (await client.post(url, b"{}", {})).status == 204
        assert names.asked == 1
        # The connection is kept; a new one asks anew, and is refused.
        canary.answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        await client.post(url, b"{}", {})
        with pytest.raises(AddressRefused):
            await client.post(url, b"{}", {})
        assert (names.asked, canary.connections) == (2, 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(status: int) -> None:
    async with canary_of() as target:
        away = f"HTTP/1.1 {status} Go\r\nLocation: http://127.0.0.1:{target.port}/\r\n"
        async with (
            canary_of(f"{away}Content-Length: 0\r\n\r\n".encode()) as canary,
            client_of(canary, loopback=True) as client,
        ):
            answer = await client.post(f"http://127.0.0.1:{canary.port}/", b"{}", {})
        assert (answer.status, target.connections) == (status, 0)


async def test_an_answer_is_read_up_to_its_bound() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"
    async with (
        canary_of(head + b"a" * 2 * ANSWER_BYTES) as canary,
        client_of(canary, loopback=True, seconds=2.0) as client,
    ):
        answer = await client.post(f"http://127.0.0.1:{canary.port}/", b"{}", {})
    assert answer.status == 200


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"", "no answer within 0.3 s"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "no answer within 0.3 s"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "cannot be read"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 9000 + b"\r\n\r\n", "cannot be read"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 1000 + b"\r\n", "cannot be read"),
    ],
)
async def test_a_bad_answer_ends_the_call(answer: bytes, says: str) -> None:
    async with (
        canary_of(answer) as canary,
        client_of(canary, loopback=True, seconds=0.3) as client,
    ):
        with pytest.raises(CallFailed, match=says):
            await client.post(f"http://127.0.0.1:{canary.port}/", b"{}", {})


async def test_nobody_listens() -> None:
    async with canary_of() as canary:
        pass
    async with client_of(canary, loopback=True) as client:
        with pytest.raises(CallFailed, match="no connection"):
            await client.post(f"http://127.0.0.1:{canary.port}/", b"{}", {})


class Certified(NamedTuple):
    """A server's TLS and a client's that trusts it."""

    server: ssl.SSLContext
    client: ssl.SSLContext


def certify(host: str) -> Certified:
    """A certificate for the host."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return Certified(server, client)


async def test_tls_is_verified_against_the_hosts_name_at_the_checked_address() -> None:
    tls = certify("hooks.example")
    names = Names(["127.0.0.1"])
    async with canary_of(tls=tls.server) as canary:
        client = client_of(canary, loopback=True, lookup=names, tls=tls.client)
        async with client:
            good = await client.post(f"https://hooks.example:{canary.port}/", b"{}", {})
            assert good.status == 204
            for url in ("https://other.example:{}/", "https://127.0.0.1:{}/"):
                with pytest.raises(CallFailed, match="certificate"):
                    await client.post(url.format(canary.port), b"{}", {})
        async with client_of(canary, loopback=True, lookup=names) as stranger:
            with pytest.raises(CallFailed, match="certificate"):
                await stranger.post(f"https://hooks.example:{canary.port}/", b"{}", {})


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "93.184.215.14", "2606:4700::1111", "2a00:1450:4001::1"]
)
def test_the_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example/a/b?c=d&e=%20",
        "http://hooks.example",
        "HTTPS://Hooks.Example:443/",
        "https://xn--mgba3a4f16a.example/",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/?x",
        "https://a_b.hooks.example./",
    ],
)
def test_an_ordinary_url_is_taken(url: str) -> None:
    OutboundRules().read_url(url)


def test_settings_are_lists_of_networks_and_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRSAL_OUTBOUND_NETWORKS", "127.0.0.0/8, ::1/128")
    monkeypatch.setenv("MIRSAL_OUTBOUND_PORTS", "443,8443")
    rules = OutboundSettings().outbound_rules
    rules.read_url("http://localhost:9999/")
    rules.refuse_address(ip_address("::1"), 5)
    rules.refuse_address(ip_address("8.8.8.8"), 8443)
    for address, port in (("8.8.8.8", 80), ("10.0.0.1", 443), ("::ffff:127.0.0.1", 443)):
        with pytest.raises(AddressRefused):
            rules.refuse_address(ip_address(address), port)
