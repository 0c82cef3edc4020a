"""Which addresses and URLs of users' may be spoken to. Pure: `mirsal_runtime.outbound` connects."""

import re
from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from typing import Final, NamedTuple, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

URL_CHARACTERS: Final = 2048
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# One strict form instead of a parser: what two parsers read differently does not pass. A host is
# ASCII (others are written xn--...), so that no normalisation makes another of it.
_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z]+)://"
    r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?:[/?][!$-;=?-\[\]_a-z~]*)?",
    re.ASCII,
)
_NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)
_LOOPBACK: Final = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
_V6_GLOBAL: Final = IPv6Network("2000::/3")
# What `ipaddress` takes for global and is not the Internet's, or stands for another address.
_NEVER: Final[tuple[Network, ...]] = (
    IPv4Network("192.0.0.0/24"),  # IETF protocol assignments; a cloud's metadata among them
    IPv4Network("192.88.99.0/24"),  # 6to4 relays
    IPv4Network("168.63.129.16/32"),  # Azure's host agent
    IPv6Network("2001::/23"),  # Teredo, ORCHID and other protocols
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("2002::/16"),  # 6to4
    IPv6Network("3fff::/20"),  # documentation
)
# The middle of an ISATAP address, whose end is an IPv4 address.
_ISATAP: Final = (0x00005EFE, 0x02005EFE)


class AddressRefused(OSError):
    """It is not spoken to; the text says why, in words that its user may read."""


class Target(NamedTuple):
    """What a URL names. `address` is None for a name, which is looked up when it is called."""

    host: str
    port: int
    address: Address | None


class OutboundRules(NamedTuple):
    """`networks` may be reached at any port, whatever they are; all else only if it is public."""

    networks: Sequence[Network] = ()
    ports: Sequence[int] = (80, 443)

    def refuse_address(self, address: Address, port: int) -> None:
        """Raises `AddressRefused` unless one may connect to it."""
        if any(address in network for network in self.networks):
            return
        if not is_public(address):
            raise AddressRefused("the address is not a public one")
        self._refuse_port(port)

    def read_url(self, text: str) -> Target:
        """What the URL names. Raises `AddressRefused` if it may not be called, as far as it says.

        A name says nothing of its address: that is for who connects to check.
        """
        target = _parse(text)
        if target.address is not None:
            self.refuse_address(target.address, target.port)
        elif _is_local(target.host):
            self._refuse_local(target.port)
        elif not self.networks:
            self._refuse_port(target.port)
        return target

    def _refuse_local(self, port: int) -> None:
        if not any(each in network for each in _LOOPBACK for network in self.networks):
            self.refuse_address(_LOOPBACK[0], port)

    def _refuse_port(self, port: int) -> None:
        if port not in self.ports:
            raise AddressRefused(f"the port must be one of {', '.join(map(str, self.ports))}")


def is_public(address: Address) -> bool:
    """Whether it is an ordinary address of the Internet's, which stands for no other one."""
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if any(address in network for network in _NEVER):
        return False
    if isinstance(address, IPv4Address):
        return True
    middle = int(address) >> 32 & 0xFFFFFFFF
    return address in _V6_GLOBAL and middle not in _ISATAP and address.scope_id is None


def _parse(text: str) -> Target:
    if len(text) > URL_CHARACTERS:
        raise AddressRefused(f"a URL may have {URL_CHARACTERS} characters")
    found = _URL.fullmatch(text)
    if found is None:
        raise AddressRefused(
            "write https://host/path: ASCII only (others as xn-- or %..), no user, no fragment"
        )
    scheme = found["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise AddressRefused("only http and https are spoken")
    port = DEFAULT_PORTS[scheme] if found["port"] is None else int(found["port"])
    if not 0 < port < 65_536:
        raise AddressRefused("there is no such port")
    host = found["host"].lower()
    return Target(host, port, _literal(host))


def _literal(host: str) -> Address | None:
    """The address that the host is, if it is one and in its plain form."""
    try:
        if host.startswith("["):
            return ip_address(host[1:-1])
        # Whoever ends in a number is an address to some, as 127.1, 0x7f.1 and 2130706433 are.
        return IPv4Address(host) if _NUMBER.fullmatch(_last_label(host)) else None
    except ValueError as error:
        raise AddressRefused("the host is neither a name nor an address in plain form") from error


def _is_local(host: str) -> bool:
    return _last_label(host) == "localhost"


def _last_label(host: str) -> str:
    return host.removesuffix(".").rpartition(".")[2]
