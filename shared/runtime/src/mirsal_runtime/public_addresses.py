"""Connections to places that users name: public addresses only, and the one that was looked at.

Names are resolved once: what is judged is what is connected to, whatever a name server says next.
"""

import asyncio
import socket
from ipaddress import IPv6Address, ip_address

from mirsal_runtime.outbound_rules import is_public


class NotPublic(Exception):
    """The name has no address that may be connected to."""

    def __init__(self) -> None:
        super().__init__("it has no public address")


def is_public_text(address: str) -> bool:
    """Whether an address, as a look-up gives it, is a public one by `outbound_rules`.

    An IPv4 address that is written as IPv6 is judged as what it is.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return is_public(found)


async def connect_public(host: str, port: int) -> socket.socket:
    """A connected TCP socket. Raises `NotPublic`, and `OSError` for what cannot be reached.

    The caller sets the deadline.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    public = [each for each in found if is_public_text(str(each[4][0]))]
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
