"""Connections to places that users name: public addresses only, and the one that was looked at.

Names are resolved once: what is judged is what is connected to, whatever a name server says next.
"""

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

# Global by the registry, but they carry an IPv4 address that need not be.
_CARRIERS: Final = tuple(map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")))


class NotPublic(Exception):
    """The name has no address that may be connected to."""

    def __init__(self) -> None:
        super().__init__("it has no public address")


def is_public(address: str) -> bool:
    """Whether an address may be anybody's: not this machine, a private network, a cloud's own."""
    try:
        found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif any(found in network for network in _CARRIERS):
            return False
    return found.is_global and not found.is_multicast


async def connect_public(host: str, port: int) -> socket.socket:
    """A connected TCP socket. Raises `NotPublic`, and `OSError` for what cannot be reached.

    The caller sets the deadline.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    public = [each for each in found if is_public(str(each[4][0]))]
    if not public:
        raise NotPublic
    failure: OSError | None = None
    for family, kind, protocol, _, address in public:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure or OSError("no address")
