"""Ending a TCP connection the hard way, on asyncio's own transports and on uvloop's."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import asyncio


def sever(transport: asyncio.BaseTransport | None, *, reset: bool) -> None:
    """Ends a connection at once, unsent bytes lost: by a TCP reset or by a plain close."""
    if transport is None:
        return
    if reset:
        # uvloop's socket object cannot set options: a second handle of the same socket can.
        handle = os.dup(transport.get_extra_info("socket").fileno())
        with socket.socket(fileno=handle) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # Not narrowed by isinstance: uvloop's transports are no subclass of asyncio's.
    cast("asyncio.Transport", transport).abort()
