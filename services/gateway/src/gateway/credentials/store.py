"""The tables `credentials` and `workspace_keys`; only sealed texts come here."""

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg
from mirsal_runtime.queries import load_queries
from mirsal_runtime.vault.keys import Wrapped

from gateway.audit.entries import Action, Describe, Entry, Origin
from gateway.audit.store import change
from gateway.credentials.schemas import CredentialView
from gateway.paging import Asked, BothWays
from gateway.store import Database

_SQL = load_queries("gateway.credentials")
_LIST = BothWays.of(_SQL["list"])


class SealedCredential(NamedTuple):
    """A credential as it is stored."""

    workspace: str
    credential_id: str
    type: str
    name: str | None
    summary: str
    data_key: UUID
    sealed: bytes


class DataKey(NamedTuple):
    """A workspace's data key, wrapped."""

    id: UUID
    workspace: str
    wrapped: Wrapped


class CredentialStore:
    """Reads and writes credentials; what is given a workspace keeps to it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(
        self, sealed: SealedCredential, origin: Origin
    ) -> tuple[CredentialView, bool] | None:
        """The credential as it stands now, and whether it is new; None: it is of another type."""
        describe = _describe(origin, Action.CREDENTIAL_SAVED)
        rows = await change(
            self._database, origin.workspace, describe, _SQL["put"], *sealed, origin.name
        )
        if not rows:
            return None
        members = dict(rows[0])
        is_new = members.pop("is_new")
        return CredentialView(**members), is_new

    async def read(self, workspace: str, credential_id: str) -> CredentialView | None:
        """One credential."""
        row = await self._database.fetch_row_in(workspace, _SQL["read"], workspace, credential_id)
        return None if row is None else CredentialView(**row)

    async def list_credentials(
        self, workspace: str, account_type: str | None, asked: Asked
    ) -> list[CredentialView]:
        """A page of credentials, and one more."""
        rows = await self._database.fetch_in(
            workspace,
            _LIST.for_page(asked),
            workspace, *asked.after, account_type, asked.since, asked.until, asked.limit + 1,
        )  # fmt: skip
        return [CredentialView(**row) for row in rows]

    async def delete(self, origin: Origin, credential_id: str) -> CredentialView | None:
        """What was deleted, of the origin's workspace."""
        describe = _describe(origin, Action.CREDENTIAL_DELETED)
        statement = _SQL["delete"]
        workspace = origin.workspace
        rows = await change(
            self._database, workspace, describe, statement, workspace, credential_id
        )
        return CredentialView(**rows[0]) if rows else None

    async def types(self, workspace: str, credential_ids: Collection[str]) -> dict[str, str]:
        """The types of those that exist."""
        rows = await self._database.fetch_in(
            workspace, _SQL["types"], workspace, list(credential_ids)
        )
        return {row["credential_id"]: row["type"] for row in rows}

    async def find_data_key(self, workspace: str) -> DataKey | None:
        """The workspace's data key."""
        row = await self._database.fetch_row_in(workspace, _SQL["find_data_key"], workspace)
        if row is None:
            return None
        return DataKey(row["id"], workspace, Wrapped(row["key_id"], row["wrapped"]))

    async def add_data_key(self, key: DataKey) -> None:
        """Have a data key, unless the workspace has one."""
        await self._database.fetch_in(
            key.workspace, _SQL["add_data_key"], key.id, key.workspace, *key.wrapped
        )

    async def old_data_keys(self, current: str, after: UUID, limit: int) -> list[DataKey]:
        """Data keys, by id, that the key-encryption key `current` did not wrap."""
        rows = await self._database.fetch_everywhere(_SQL["old_data_keys"], current, after, limit)
        return [
            DataKey(row["id"], row["workspace"], Wrapped(row["key_id"], row["wrapped"]))
            for row in rows
        ]

    async def rewrap(self, current: str, keys: Sequence[tuple[DataKey, bytes]]) -> int:
        """Store data keys as `current` wrapped them; how many nobody had changed meanwhile."""
        rows = await self._database.fetch_everywhere(
            _SQL["rewrap"],
            current,
            [key.id for key, _ in keys],
            [key.wrapped.text for key, _ in keys],
            [text for _, text in keys],
        )
        return len(rows)


def _describe(origin: Origin, action: Action) -> Describe:
    """The entry of an act: which account it is about, never what is in it."""

    def describe(rows: Sequence[asyncpg.Record]) -> Entry | None:
        if not rows:
            return None
        told = {name: rows[0][name] for name in ("type", "name", "summary")}
        is_over = action is Action.CREDENTIAL_DELETED
        return Entry(
            origin,
            action,
            rows[0]["credential_id"],
            before=told if is_over else None,
            after=None if is_over else told,
        )

    return describe
