"""What an address is found by in a workspace's lists, by who knows it. Pure.

Who has the tables alone cannot tell whose address it is, nor try addresses.
"""

from hashlib import sha256
from hmac import digest
from typing import Final

INDEX_BYTES: Final = 16


def derive_index_key(data_key: bytes) -> bytes:
    """The key of a workspace's indexes, from its data key: it opens nothing else."""
    return digest(data_key, b"mirsal address index", sha256)


def index_address(key: bytes, channel: str, address: str) -> bytes:
    """The index of an address in the form in which a channel's are compared: `user@domain` with an
    ASCII domain, or a number in E.164. Upper and lower case are one."""
    text = f"{channel}\0{address.casefold()}".encode()
    return digest(key, text, sha256)[:INDEX_BYTES]
