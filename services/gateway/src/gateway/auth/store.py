"""The tables `api_keys` and `workspace_limits`."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID, uuid4

import asyncpg
from mirsal_runtime.queries import load_queries

from gateway.audit.entries import Action, Describe, Entry, Origin
from gateway.audit.store import change, record
from gateway.auth.access import Role, Scope, scopes_of
from gateway.auth.schemas import Principal
from gateway.paging import Asked, BothWays, Cursor
from gateway.repeats import Once
from gateway.store import Database, Everywhere, Transaction

if TYPE_CHECKING:
    from mirsal_contracts.message import JsonObject

_SQL = load_queries("gateway.auth")
_LIST = BothWays.of(_SQL["list_keys"])
_ALL = 100_000


class KeyRow(NamedTuple):
    """A key as its owner sees it in a list: never the key itself."""

    id: UUID
    workspace: str
    name: str
    hint: str
    role: Role
    scopes: frozenset[Scope]
    workflow_ids: list[str] | None
    rate_limit_per_minute: int | None
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    replaced_by: UUID | None


class NewKey(NamedTuple):
    """What is stored of a key. `scopes` None is all of the role's, `workflow_ids` None all."""

    workspace: str
    name: str
    hint: str
    digest: bytes
    role: Role
    scopes: Sequence[Scope] | None = None
    workflow_ids: Sequence[str] | None = None
    rate_limit_per_minute: int | None = None
    lifetime: timedelta | None = None
    created_by: str = ""


class KeyStore:
    """Reads and writes API keys by their digests. A workspace of None is any."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, digests: Sequence[bytes]) -> list[Principal | None]:
        """Who each digest's key belongs to; None where there is none that may be used."""
        rows = await self._database.fetch_everywhere(_SQL["find_keys"], list(digests))
        found = {row["digest"]: _principal(row) for row in rows}
        return [found.get(digest) for digest in digests]

    async def touch(self, key_ids: Collection[str]) -> None:
        """Note that these keys were used now."""
        await self._database.fetch_everywhere(_SQL["touch_keys"], [UUID(each) for each in key_ids])

    async def add(self, key: NewKey, origin: Origin, once: Once | None = None) -> KeyRow:
        """Store a new key, under the id of `once`. Raises `Repeated`."""
        describe, key_id = _describe(origin, Action.KEY_MADE), uuid4() if once is None else once.id
        rows = await change(
            self._database, key.workspace, describe, _SQL["add_key"], *key, key_id, once=once
        )
        if not rows:
            raise ValueError("this key is stored already")
        return _key_row(rows[0])

    async def ensure(self, key: NewKey, origin: Origin) -> None:
        """Have the key there and usable, with its role's scopes and no end."""
        describe = _describe(origin, Action.KEY_MADE)
        # The key may have been another workspace's.
        await change(self._database, Everywhere.ALL, describe, _SQL["ensure_key"], *key[:5])

    async def rotate(
        self,
        key_id: UUID,
        workspace: str | None,
        *,
        hint: str,
        digest: bytes,
        overlap: timedelta,
        origin: Origin,
        once: Once | None = None,
    ) -> KeyRow | None:
        """The key's successor, under the id of `once`; None where the key may not be used or has
        one already. Raises `Repeated`."""

        def describe(rows: Sequence[asyncpg.Record]) -> Entry | None:
            made = _describe(origin, Action.KEY_ROTATED)(rows)
            return None if made is None else made._replace(before={"keyId": str(key_id)})

        rows = await change(
            self._database,
            _scope_of(workspace),
            describe,
            _SQL["rotate_key"],
            key_id,
            workspace,
            hint,
            digest,
            overlap,
            origin.name,
            uuid4() if once is None else once.id,
            once=once,
        )
        return _key_row(rows[0]) if rows else None

    async def read(self, key_id: UUID, workspace: str) -> KeyRow | None:
        """One key."""
        row = await self._database.fetch_row_in(workspace, _SQL["read_key"], key_id, workspace)
        return None if row is None else _key_row(row)

    async def list_keys(self, workspace: str | None, asked: Asked) -> list[KeyRow]:
        """A page of keys, and one more."""
        rows = await self._database.fetch_in(
            _scope_of(workspace),
            _LIST.for_page(asked),
            workspace, *asked.place, asked.since, asked.until, asked.limit + 1,
        )  # fmt: skip
        return [_key_row(row) for row in rows]

    async def list_all(self, workspace: str | None) -> list[KeyRow]:
        """All keys, or those of one workspace, oldest first."""
        return await self.list_keys(workspace, Asked(_ALL))

    async def revoke(self, key_id: UUID, workspace: str | None, origin: Origin) -> bool:
        """Whether there is such a key; it may not be used from now on."""

        def describe(rows: Sequence[asyncpg.Record]) -> Entry | None:
            if not rows or not rows[0]["is_new"]:
                return None
            of_workspace = origin._replace(workspace=rows[0]["workspace"])
            before: JsonObject = {"name": rows[0]["name"], "hint": rows[0]["hint"]}
            return Entry(of_workspace, Action.KEY_REVOKED, str(key_id), before)

        return bool(
            await change(
                self._database,
                _scope_of(workspace),
                describe,
                _SQL["revoke_key"],
                key_id,
                workspace,
            )
        )

    async def read_workspace_limits(self, workspaces: Sequence[str]) -> list[int | None]:
        """The workspaces' own limits; None for one that has none."""
        rows = await self._database.fetch_everywhere(
            _SQL["read_workspace_limits"], list(workspaces)
        )
        limits = {row["workspace"]: row["rate_limit_per_minute"] for row in rows}
        return [limits.get(workspace) for workspace in workspaces]

    async def set_workspace_limit(self, limit: int | None, origin: Origin) -> None:
        """Give the origin's workspace a limit of its own, or take it away."""
        workspace = origin.workspace

        async def work(transaction: Transaction) -> None:
            found = await transaction.fetch_row(_SQL["read_workspace_limits"], [workspace])
            before = None if found is None else found["rate_limit_per_minute"]
            if limit is None:
                await transaction.fetch(_SQL["drop_workspace_limit"], workspace)
            else:
                await transaction.fetch(_SQL["set_workspace_limit"], workspace, limit)
            if before != limit:
                name, limited = "rateLimitPerMinute", Action.WORKSPACE_LIMITED
                entry = Entry(origin, limited, workspace, {name: before}, {name: limit})
                await record(transaction, entry)

        await self._database.transact_in(workspace, work)


def _scope_of(workspace: str | None) -> str | Everywhere:
    return Everywhere.ALL if workspace is None else workspace


def _describe(origin: Origin, action: Action) -> Describe:
    """How the log tells of the key in a statement's first row."""

    def describe(rows: Sequence[asyncpg.Record]) -> Entry | None:
        if not rows:
            return None
        row = _key_row(rows[0])
        after: JsonObject = {
            "name": row.name,
            "hint": row.hint,
            "role": row.role.value,
            "scopes": [*sorted(row.scopes)],
            "workflowIds": None if row.workflow_ids is None else [*sorted(row.workflow_ids)],
            "rateLimitPerMinute": row.rate_limit_per_minute,
            "expiresAt": None if row.expires_at is None else row.expires_at.isoformat(),
        }
        of_workspace = origin._replace(workspace=row.workspace)
        return Entry(of_workspace, action, str(row.id), None, after)

    return describe


def place_of(row: KeyRow) -> Cursor:
    """Where the key stands in lists."""
    return Cursor(row.created_at, str(row.id))


def _principal(row: asyncpg.Record) -> Principal:
    key_id, workspace = str(row["id"]), row["workspace"]
    limit, limited_as = row["rate_limit_per_minute"], f"key:{key_id}"
    # Who may make keys gives them limits, and so none that goes beyond the workspace's own.
    besides = row["workspace_limit"] or None
    if not limit and (limit is None or besides):
        limit, limited_as, besides = row["workspace_limit"], f"workspace:{workspace}", None
    granted = row["workflow_ids"]
    workflow_ids = None if granted is None else frozenset(granted)
    return Principal(
        key_id, row["name"], workspace, limit, limited_as, _scopes_of(row), workflow_ids, besides
    )


def _key_row(row: asyncpg.Record) -> KeyRow:
    return KeyRow(**{**row, "role": Role(row["role"]), "scopes": _scopes_of(row)})


def _scopes_of(row: asyncpg.Record) -> frozenset[Scope]:
    """What the key may do. Scopes of a newer release are not known here, and give nothing."""
    known = {each.value: each for each in Scope}
    chosen = row["scopes"]
    return scopes_of(
        Role(row["role"]),
        None if chosen is None else [known[each] for each in chosen if each in known],
    )
