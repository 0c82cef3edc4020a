"""Landlock: no file, no TCP port, no signal or abstract socket outside this process's domain."""

import ctypes
import os
import struct
from typing import Final

_CREATE_RULESET: Final = 444
_RESTRICT_SELF: Final = 446
_ASK_VERSION: Final = 1

# Rights by the version of the interface that brought them (linux/landlock.h).
_FILES: Final = ((1, 0x1FFF), (2, 1 << 13), (3, 1 << 14), (5, 1 << 15))
_NETWORK: Final = ((4, 0b11),)
_SCOPES: Final = ((6, 0b11),)


def restrict() -> int:
    """Deny this thread, and those it starts, all that this kernel's Landlock can deny.

    Returns the version of the kernel's interface. Raises `OSError` where there is none.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    version = int(libc.syscall(_CREATE_RULESET, None, 0, _ASK_VERSION))
    if version < 1:
        raise _fault()
    denied = [
        sum(bits for since, bits in rights if since <= version)
        for rights in (_FILES, _NETWORK, _SCOPES)
    ]
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    attributes = struct.pack("=QQQ", *denied)[:size]
    ruleset = int(libc.syscall(_CREATE_RULESET, attributes, size, 0))
    if ruleset < 0:
        raise _fault()
    try:
        if libc.syscall(_RESTRICT_SELF, ruleset, 0) != 0:
            raise _fault()
    finally:
        os.close(ruleset)
    return version


def _fault() -> OSError:
    code = ctypes.get_errno()
    return OSError(code, f"Landlock: {os.strerror(code)}")
