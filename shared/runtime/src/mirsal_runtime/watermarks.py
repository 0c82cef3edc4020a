"""Which offset of a partition may be committed: the one below which everything is done. Pure."""

from collections import deque
from collections.abc import Callable


class Watermark:
    """The open records of one partition that is assigned to this process.

    Records are opened in the order of their offsets and closed in any order. A watermark is
    thrown away with its partition's assignment: closing a record of an old one changes nothing.
    `progress` is called whenever the watermark has risen.
    """

    __slots__ = ("_done", "_open", "_progress", "_reported", "committable")

    def __init__(self, progress: Callable[[], None] = lambda: None) -> None:
        self._progress = progress
        self._open: deque[int] = deque()
        self._done: set[int] = set()
        self._reported: int | None = None
        self.committable: int | None = None
        """The offset to commit (that of the next record to read); None before the first."""

    def __len__(self) -> int:
        """How many records lie beyond the watermark, done or not."""
        return len(self._open)

    def open(self, offset: int) -> None:
        """A record was read."""
        self._open.append(offset)

    def close(self, offset: int) -> None:
        """All that the record asked for is done."""
        done, waiting = self._done, self._open
        done.add(offset)
        if waiting and waiting[0] in done:
            while waiting and waiting[0] in done:
                first = waiting.popleft()
                done.discard(first)
                self.committable = first + 1
            self._progress()

    @property
    def news(self) -> int | None:
        """The offset to commit, if it is not the one last said to be committed."""
        return None if self.committable == self._reported else self.committable

    def committed(self, offset: int) -> None:
        """Kafka knows `offset`."""
        self._reported = offset
