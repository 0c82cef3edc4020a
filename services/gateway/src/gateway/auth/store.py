"""The table `api_keys`."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from mirsal_runtime.queries import load_queries

from gateway.auth.schemas import Principal
from gateway.store import Database

_SQL = load_queries("gateway.auth")


class KeyRow(NamedTuple):
    """A key as its owner sees it in a list: never the key itself."""

    id: UUID
    workspace: str
    name: str
    hint: str
    rate_limit_per_minute: int | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class KeyStore:
    """Reads and writes API keys by their digests."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, digests: Sequence[bytes]) -> list[Principal | None]:
        """Who each digest's key belongs to; None where there is none that may be used."""
        rows = await self._database.fetch(_SQL["find_keys"], list(digests))
        found = {
            row["digest"]: Principal(
                str(row["id"]), row["name"], row["workspace"], row["rate_limit_per_minute"]
            )
            for row in rows
        }
        return [found.get(digest) for digest in digests]

    async def add(
        self,
        workspace: str,
        name: str,
        hint: str,
        digest: bytes,
        *,
        rate_limit_per_minute: int | None = None,
        lifetime: timedelta | None = None,
    ) -> UUID:
        """Store a new key's digest; the row's id."""
        row = await self._database.fetch_row(
            _SQL["add_key"], workspace, name, hint, digest, rate_limit_per_minute, lifetime
        )
        if row is None:
            raise ValueError("this key is stored already")
        return UUID(str(row["id"]))

    async def ensure(self, workspace: str, name: str, hint: str, digest: bytes) -> UUID:
        """Have the key there and usable; the row's id."""
        row = await self._database.fetch_row(_SQL["ensure_key"], workspace, name, hint, digest)
        if row is None:
            raise ValueError("the key was not stored")
        return UUID(str(row["id"]))

    async def list_all(self, workspace: str | None) -> list[KeyRow]:
        """All keys, or those of one workspace, oldest first."""
        rows = await self._database.fetch(_SQL["list_keys"], workspace)
        return [KeyRow(**row) for row in rows]

    async def revoke(self, key_id: UUID) -> bool:
        """Whether there is such a key; it may not be used from now on."""
        return await self._database.fetch_row(_SQL["revoke_key"], key_id) is not None
