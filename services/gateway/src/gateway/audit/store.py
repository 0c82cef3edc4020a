"""The tables `audit_inbox` and `audit_log`, and statements that record what they change."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, NamedTuple

import asyncpg
from mirsal_runtime.queries import load_queries

from gateway.audit.chain import BEGINNING, Head, Row, link
from gateway.audit.entries import Describe, Entry
from gateway.audit.masking import hide_secrets
from gateway.paging import Asked, BothWays
from gateway.repeats import Once, Repeated, claim, take_turn
from gateway.store import Database, Everywhere, Transaction

_SQL = load_queries("gateway.audit")
SEALED_AT_ONCE: Final = 1_000
_ROWS: Final = Asked(999)
_LIST: Final = BothWays.of(_SQL["list"])


class AuditFilter(NamedTuple):
    """Which rows are asked for; None is any."""

    action: str | None = None
    object_id: str | None = None
    actor_id: str | None = None


async def record(work: Transaction, entry: Entry) -> None:
    """Record an act in the transaction that does it."""
    await work.fetch(_SQL["record"], *_members(entry).values())


async def change(
    database: Database,
    scope: str | Everywhere,
    describe: Describe,
    statement: str,
    *values: object,
    once: Once | None = None,
    turn: str = "",
) -> list[asyncpg.Record]:
    """The rows of a statement that changes something; what it did is recorded with it.

    Both count or neither does, and with them that the call was made `once`: without a row it was
    not. Statements that give the same `turn` come one after the other. Raises
    `DatabaseUnavailable` and, for a call that was made before, `Repeated`.
    """

    async def work(transaction: Transaction) -> list[asyncpg.Record] | Repeated:
        if once is not None:
            repeated = await claim(transaction, once)
            if repeated is not None:
                return repeated
        if turn:
            await take_turn(transaction, turn)
        rows = await transaction.fetch(statement, *values)
        entry = describe(rows)
        if entry is not None:
            await record(transaction, entry)
        if once is not None and not rows:
            raise _NothingMadeError
        return rows

    try:
        done = await database.transact_in(scope, work)
    except _NothingMadeError:
        return []
    if isinstance(done, Repeated):
        raise done
    return done


class _NothingMadeError(Exception):
    """Takes the claim of the key back."""


class AuditStore:
    """Reads the log and makes it longer. Raises `DatabaseUnavailable`.

    `tell` is told of each workspace's new head.
    """

    def __init__(
        self, database: Database, tell: Callable[[str, Head], None] = lambda *_: None
    ) -> None:
        self._database = database
        self._tell = tell

    async def record_many(self, entries: Sequence[Entry]) -> Sequence[None]:
        """Record acts that change nothing here: reads, and what others are asked to do."""
        await self._database.fetch_everywhere(
            _SQL["record_many"], [_members(entry) for entry in entries]
        )
        return [None] * len(entries)

    async def seal(self) -> bool:
        """Put waiting entries into their chains; whether there may be more."""
        (row,) = await self._database.fetch_everywhere(_SQL["is_waiting"])
        if not row["is_waiting"]:
            return False
        count, heads = await self._database.transact_in(Everywhere.ALL, _seal)
        for workspace, head in heads.items():
            self._tell(workspace, head)
        return count == SEALED_AT_ONCE

    async def list_rows(
        self, workspace: str, after_seq: int, wanted: AuditFilter, asked: Asked
    ) -> list[Row]:
        """A page of a workspace's rows after a place, and one more."""
        found = await self._database.fetch_in(
            workspace,
            _LIST.for_page(asked),
            workspace, after_seq, *wanted, asked.since, asked.until, asked.limit + 1,
        )  # fmt: skip
        return [Row(**row) for row in found]

    async def read_chain(self, workspace: str) -> AsyncIterator[Row]:
        """All rows of a workspace, oldest first."""
        rows = await self.list_rows(workspace, 0, AuditFilter(), _ROWS)
        while rows:
            for row in rows:
                yield row
            rows = await self.list_rows(workspace, rows[-1].seq, AuditFilter(), _ROWS)

    async def list_workspaces(self) -> list[str]:
        """The workspaces that have a log."""
        rows = await self._database.fetch_everywhere(_SQL["list_workspaces"])
        return [row["workspace"] for row in rows]


async def _seal(work: Transaction) -> tuple[int, dict[str, Head]]:
    """How many entries got their place, and where the chains end now."""
    await work.fetch(_SQL["lock_chains"])
    waiting = await work.fetch(_SQL["find_waiting"], SEALED_AT_ONCE)
    heads = {name: Head(0, BEGINNING) for name in {row["workspace"] for row in waiting}}
    for row in await work.fetch(_SQL["find_heads"], sorted(heads)):
        heads[row["workspace"]] = Head(row["seq"], row["hash"])
    links: list[tuple[int, int, bytes, bytes]] = []
    for row in waiting:
        given = {name: value for name, value in row.items() if name != "id"}
        (linked,) = link([Row(**given, seq=0, previous=b"", hash=b"")], heads[row["workspace"]])
        heads[row["workspace"]] = Head(linked.seq, linked.hash)
        links.append((row["id"], linked.seq, linked.previous, linked.hash))
    if links:
        await work.fetch(_SQL["append"], *(list(column) for column in zip(*links, strict=True)))
    return len(links), heads


def _members(entry: Entry) -> dict[str, object]:
    origin = entry.origin
    return {
        "workspace": origin.workspace,
        "actor_kind": origin.actor_kind,
        "actor_id": origin.actor_id,
        "actor_name": origin.name,
        "address": origin.address,
        "action": entry.action.value,
        "object_id": entry.object_id,
        "before": hide_secrets(entry.before),
        "after": hide_secrets(entry.after),
    }
