"""The chain: each row holds the hash of the one before and of itself, so that none can be changed,
removed, added or moved unseen by whoever does not write anew all that follows. Pure.

Whoever does is found by a head that was noted elsewhere (`mirsal audit verify` prints it).
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, NamedTuple

import orjson
from mirsal_contracts.message import JsonObject

BEGINNING: Final = bytes(32)
"""What the first row of a workspace follows."""


class Row(NamedTuple):
    """A row of the log. `seq` counts from 1 in each workspace."""

    workspace: str
    seq: int
    at: datetime
    actor_kind: str
    actor_id: str
    actor_name: str
    address: str
    action: str
    object_id: str
    before: JsonObject | None
    after: JsonObject | None
    previous: bytes
    hash: bytes

    def to_members(self) -> JsonObject:
        """What is hashed, by its wire names."""
        return {
            "workspace": self.workspace,
            "seq": self.seq,
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "actor": {
                "kind": self.actor_kind,
                "id": self.actor_id,
                "name": self.actor_name,
                "address": self.address,
            },
            "action": self.action,
            "objectId": self.object_id,
            "before": self.before,
            "after": self.after,
        }


class Head(NamedTuple):
    """The last row of a chain, or any other: its number and its hash."""

    seq: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash.hex()}"

    @classmethod
    def parse(cls, text: str) -> "Head":
        """What `str` wrote. Raises `ValueError`."""
        seq, _, digest = text.partition(":")
        head = cls(int(seq), bytes.fromhex(digest))
        if head.seq < 1 or len(head.hash) != len(BEGINNING):
            raise ValueError("is not NUMBER:HASH as `mirsal audit verify` prints it")
        return head


class Finding(NamedTuple):
    """Something is wrong at the row `seq`."""

    seq: int
    text: str


def hash_of(row: Row) -> bytes:
    """The hash that the row must have: of the one before it, and of its canonical JSON."""
    return sha256(
        row.previous + orjson.dumps(row.to_members(), option=orjson.OPT_SORT_KEYS)
    ).digest()


def link(rows: Iterable[Row], head: Head) -> Iterator[Row]:
    """The rows with their numbers and hashes, following `head`."""
    for row in rows:
        numbered = row._replace(seq=head.seq + 1, previous=head.hash)
        linked = numbered._replace(hash=hash_of(numbered))
        head = Head(linked.seq, linked.hash)
        yield linked


class Inspector:
    """Looks at the rows of one workspace, in the order of their numbers."""

    def __init__(self, known: Head | None = None) -> None:
        self.head = Head(0, BEGINNING)
        self._known = known

    def inspect(self, row: Row) -> Iterator[Finding]:
        """What is wrong with the next row."""
        if row.seq != self.head.seq + 1:
            first, last = self.head.seq + 1, row.seq - 1
            which = f"row {first} is" if first == last else f"rows {first} to {last} are"
            yield Finding(first, f"{which} missing")
        elif row.previous != self.head.hash:
            yield Finding(row.seq, f"row {row.seq} does not follow the row before it")
        if row.hash != hash_of(row):
            yield Finding(row.seq, f"row {row.seq} was changed")
        if self._known is not None and row.seq == self._known.seq and row.hash != self._known.hash:
            yield Finding(row.seq, f"row {row.seq} is not the one that was known")
        self.head = Head(row.seq, row.hash)

    def end(self) -> Iterator[Finding]:
        """What is wrong with where the rows end."""
        if self._known is not None and self._known.seq > self.head.seq:
            yield Finding(
                self.head.seq + 1,
                f"rows {self.head.seq + 1} to {self._known.seq} are missing at the end",
            )
