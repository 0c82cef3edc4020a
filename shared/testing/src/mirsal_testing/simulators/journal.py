"""What a simulator saw, in order: appending and counting cost the same at any length."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

EntryT = TypeVar("EntryT")


class Journal(Generic[EntryT]):
    """Entries numbered from 1. With `keep` > 0 only the newest are kept; `total` counts all."""

    def __init__(self, keep: int = 0) -> None:
        self._entries: deque[EntryT] = deque(maxlen=keep or None)
        self.total = 0
        self._waiting: dict[asyncio.Future[None], int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[EntryT]:
        return iter(self._entries)

    def __reversed__(self) -> Iterator[EntryT]:
        return reversed(self._entries)

    @property
    def first_sequence(self) -> int:
        """Number of the oldest entry that is still kept."""
        return self.total - len(self._entries) + 1

    def append(self, entry: EntryT) -> None:
        self.total += 1
        self._entries.append(entry)
        if self._waiting:
            self._wake()

    async def reach(self, total: int, seconds: float) -> None:
        """Returns once `total` entries came. Raises TimeoutError, which says how many did."""
        if self.total >= total:
            return
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[reached] = total
        try:
            await asyncio.wait_for(reached, seconds)
        except TimeoutError:
            raise TimeoutError(f"{self.total} of {total} came within {seconds:g} s") from None
        finally:
            del self._waiting[reached]

    def _wake(self) -> None:
        for waiting, total in self._waiting.items():
            if self.total >= total and not waiting.done():
                waiting.set_result(None)

    def get(self, sequence: int) -> EntryT | None:
        index = sequence - self.first_sequence
        return self._entries[index] if 0 <= index < len(self._entries) else None

    def after(
        self, since: int, limit: int, wanted: Callable[[EntryT], bool] | None = None
    ) -> list[EntryT]:
        """At most `limit` wanted entries whose number is greater than `since`, oldest first."""
        skipped = max(0, since + 1 - self.first_sequence)
        rest: Iterator[EntryT] = islice(self._entries, skipped, None)
        if wanted is not None:
            rest = filter(wanted, rest)
        return list(islice(rest, limit))

    def clear(self) -> None:
        self._entries.clear()
        self.total = 0


class Tally:
    """How often each key came. Knows at once which came more than once."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._repeated: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._counts)

    @property
    def counts(self) -> Mapping[str, int]:
        return self._counts

    @property
    def repeated(self) -> Mapping[str, int]:
        """The keys that came more than once, with their counts."""
        return self._repeated

    def add(self, key: str) -> None:
        count = self._counts.get(key, 0) + 1
        self._counts[key] = count
        if count > 1:
            self._repeated[key] = count

    def clear(self) -> None:
        self._counts.clear()
        self._repeated.clear()
