"""Keeps the order of commands that share a key, for connectors that ask for it. Pure."""

from collections import deque
from collections.abc import Collection

from mirsal_runtime.watermarks import Watermark
from mirsal_runtime.work import Work


class KeyOrder:
    """Who waits for an earlier command of the same key.

    A command that is admitted is its key's first until it leaves. Commands whose `order` is None
    are always admitted.
    """

    def __init__(self) -> None:
        self._lines: dict[bytes, deque[Work]] = {}

    def admit(self, work: Work) -> bool:
        """Whether the command may begin now; otherwise `leave` will hand it out in its turn."""
        if work.order is None:
            return True
        line = self._lines.get(work.order)
        if line is not None:
            line.append(work)
            return False
        self._lines[work.order] = deque()
        return True

    def leave(self, work: Work) -> Work | None:
        """An admitted command is done, or dropped; the next of its key, which is admitted now."""
        if work.order is None:
            return None
        line = self._lines[work.order]
        if line:
            return line.popleft()
        del self._lines[work.order]
        return None

    def drop(self, watermarks: Collection[Watermark]) -> None:
        """Forget those of these partitions that wait."""
        for line in self._lines.values():
            kept = [work for work in line if work.watermark not in watermarks]
            line.clear()
            line.extend(kept)
