"""Dead letters in PostgreSQL: kept once each, found again, marked with what became of a replay."""

from base64 import b64decode, b64encode
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

import asyncpg
import orjson
from mirsal_runtime.queries import load_queries

from orchestrator.store.faults import told_apart

SQL = load_queries("orchestrator.store", "letters.sql")

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Headers: TypeAlias = Sequence[tuple[str, bytes | None]]
Outcome: TypeAlias = Literal[
    "reissued",  # the run waited for it, and asked the connector again
    "taken",  # it counted, as if it had come for the first time
    "not_awaited",  # the run does not wait for it: nothing was done
    "unreadable",  # it still cannot be read
    "unknown_run",  # there is no such run
    "failed",  # the run could not go on with it, again
]


class Place(NamedTuple):
    """Where a record lies in Kafka; `topic` is the contract's name."""

    topic: str
    partition: int
    offset: int


class NewLetter(NamedTuple):
    """A row to be kept; `position` is where the record was, `lies_at` where its letter is."""

    id: UUID
    workspace: str
    connector: str
    position: Place
    lies_at: Place
    reason: str
    text: str
    died_at: datetime
    type: str
    run_id: UUID | None
    execution_id: str
    workflow_id: str
    node_id: str
    lead_id: str
    attempt: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    whole_bytes: int


class KeptLetter(NamedTuple):
    """A dead letter as it is kept: a record as it was (`topic` is the contract's name), and what
    it was about. `attempt` is that of a command, and 0 otherwise."""

    id: str
    workspace: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    run_id: str | None
    execution_id: str
    node_id: str
    attempt: int


class Mark(NamedTuple):
    """What became of one replay of one letter, for the run that it is about."""

    run_id: str
    letter_id: str
    workspace: str
    replay_id: str
    requested_by: str
    requested_at: datetime
    outcome: Outcome


class LetterStore:
    """Raises `DatabaseAway` when it may be tried again as it is, `DataRefused` when never."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def read_places(self) -> dict[tuple[str, int], int]:
        """The offset to read next, for each partition that was read from."""
        with told_apart():
            rows = await self._pool.fetch(SQL["read_places"])
        return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}

    async def keep(self, letters: Sequence[NewLetter], places: Sequence[Place]) -> int:
        """Keep the letters, and with them how far each partition was read; how many are new."""
        unique = {letter.id: letter for letter in letters}
        rows = [
            (
                *each[:3],
                *each.position,
                *each.lies_at,
                *each[5:-2],
                _packed(each.headers),
                each.whole_bytes,
            )
            for each in sorted(unique.values(), key=lambda each: each.id.bytes)
        ]
        columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(23)]
        where = [list(column) for column in zip(*sorted(places), strict=True)] or [[], [], []]
        with told_apart():
            count: int = await self._pool.fetchval(SQL["keep_letters"], *columns, *where)
        return count

    async def count(self) -> dict[str, int]:
        """How many letters nobody has replayed, by connector; 0 where all were."""
        with told_apart():
            rows = await self._pool.fetch(SQL["count_letters"])
        return {row["connector"]: row["letters"] for row in rows}

    async def load(self, letter_ids: Collection[str]) -> dict[str, KeptLetter]:
        """Those of the letters that are kept."""
        with told_apart():
            rows = await self._pool.fetch(SQL["load_letters"], sorted(letter_ids))
        return {str(row["id"]): _letter_of(row) for row in rows}

    async def mark(self, marks: Sequence[Mark]) -> None:
        """Write down what became of replays; each counts once."""
        with told_apart():
            await self._pool.execute(SQL["mark_letters"], *mark_columns(marks))

    async def forget_stillborn(self, run_ids: Collection[str]) -> None:
        """Remove runs that ended before they began, so that their own requests make them anew."""
        with told_apart():
            await self._pool.execute(SQL["forget_stillborn"], sorted(run_ids))

    async def forget_old(self, age: timedelta, limit: int) -> int:
        """Remove letters that died longer ago than `age`; how many, up to `limit`."""
        with told_apart():
            rows = await self._pool.fetch(SQL["forget_letters"], age, limit)
        return len(rows)


def mark_columns(marks: Sequence[Mark]) -> list[list[object]]:
    """The parameters of `mark_letters`."""
    # Of one wish that came twice the first says what became of it.
    rows = sorted({mark[1:4]: mark[1:] for mark in reversed(marks)}.values())
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(6)]


def _letter_of(row: asyncpg.Record) -> KeptLetter:
    return KeptLetter(
        str(row["id"]),
        row["workspace"],
        row["topic"],
        row["partition"],
        row["position"],
        row["key"],
        row["value"],
        tuple((name, _to_bytes(value)) for name, value in row["headers"]),
        None if row["run_id"] is None else str(row["run_id"]),
        row["execution_id"],
        row["node_id"],
        row["attempt"],
    )


def _packed(headers: Headers) -> orjson.Fragment:
    """As one value: asyncpg would take a list for an array's dimension."""
    return orjson.Fragment(orjson.dumps([[name, _to_text(value)] for name, value in headers]))


def _to_text(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode()


def _to_bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)
