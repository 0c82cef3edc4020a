"""How a box and its crew speak: frames of JSON over a socket, and a shared page for the logs.

The box's end may be hostile: lengths are bounded before anything is read.
"""

import mmap
import struct
from typing import Final

HEADER: Final = struct.Struct("<I")
MOST_TO_BOX: Final = 4 * 1024 * 1024
MOST_FROM_BOX: Final = 2 * 1024 * 1024
MOST_LOG: Final = 64 * 1024
PAGE_BYTES: Final = MOST_LOG + HEADER.size


class LogPage:
    """The memory in which a box leaves its logs, so that they outlive it."""

    def __init__(self, page: mmap.mmap) -> None:
        self._page = page

    @classmethod
    def of(cls, descriptor: int) -> "LogPage":
        """The page behind a shared file descriptor."""
        return cls(mmap.mmap(descriptor, PAGE_BYTES))

    def clear(self) -> None:
        """Begin anew."""
        HEADER.pack_into(self._page, 0, 0)

    def append(self, text: bytes) -> None:
        """Keep what fits; the length counts what does not, too."""
        (length,) = HEADER.unpack_from(self._page, 0)
        kept = min(length, MOST_LOG)
        part = text[: MOST_LOG - kept]
        self._page[HEADER.size + kept : HEADER.size + kept + len(part)] = part
        HEADER.pack_into(self._page, 0, min(length + len(text), 2**32 - 1))

    def read(self) -> tuple[str, bool]:
        """The logs, and whether there were more."""
        (length,) = HEADER.unpack_from(self._page, 0)
        kept = bytes(self._page[HEADER.size : HEADER.size + min(length, MOST_LOG)])
        return kept.decode("utf-8", "ignore" if length > MOST_LOG else "replace"), length > MOST_LOG

    def close(self) -> None:
        """Let go of the memory."""
        self._page.close()
