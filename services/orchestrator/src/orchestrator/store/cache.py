"""A bounded memory of what was last used; nothing here is ever the truth."""

from collections import OrderedDict
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


class WeightedCache(Generic[KeyT, ValueT]):
    """Keeps values of at most `limit` weight together; who was used longest ago goes first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._weight = 0
        self._entries: OrderedDict[KeyT, tuple[ValueT, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: KeyT) -> ValueT | None:
        """The value, now the one used last."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: KeyT, value: ValueT, weight: int) -> None:
        """Remember a value; one that is too heavy on its own is not kept."""
        self.drop(key)
        self._entries[key] = (value, weight)
        self._weight += weight
        while self._weight > self._limit:
            _, (_, dropped) = self._entries.popitem(last=False)
            self._weight -= dropped

    def drop(self, key: KeyT) -> None:
        """Forget a value, if it is there."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._weight -= entry[1]

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._weight = 0
