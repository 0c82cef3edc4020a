"""Free loopback ports for servers, kept clear of those that the kernel gives to outgoing calls.

A port from the kernel's own range may be taken by any outgoing connection while its server is
being restarted; a port below that range stays ours.
"""

import secrets
import socket
from pathlib import Path

_LOWEST = 12_000
_KERNEL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_IANA_EPHEMERAL_START = 49_152
_given: set[int] = set()


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1 at this port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an earlier run that are still closing are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that nobody listens on, and that this process was not given before."""
    end = _kernel_range_start()
    if end - _LOWEST >= 1_000:
        for _ in range(200):
            port = _LOWEST + secrets.randbelow(end - _LOWEST)
            if port not in _given and is_free(port):
                _given.add(port)
                return port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    _given.add(port)
    return port


def _kernel_range_start() -> int:
    try:
        return int(_KERNEL_RANGE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return _IANA_EPHEMERAL_START
