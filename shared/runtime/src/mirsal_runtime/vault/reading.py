"""A connector's view of the vault: accounts by id, opened, and looked at again every few seconds.

Nothing here writes, and no text of an error or a log line holds anything of an account.
"""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias
from uuid import UUID

import asyncpg
import structlog
from mirsal_contracts.credentials import ACCOUNT, Account, CredentialType
from pydantic import ValidationError

from mirsal_runtime.batching import Batcher
from mirsal_runtime.failures import ActionRequired, ThrottledError
from mirsal_runtime.postgres import close_pool, open_pool
from mirsal_runtime.queries import load_queries
from mirsal_runtime.settings import ConnectorSettings
from mirsal_runtime.vault.keys import GivenKeys, KeyKeeper, KeysUnusable, KeyUnknown, Wrapped
from mirsal_runtime.vault.sealing import SealBroken, account_context, data_key_context, unseal
from mirsal_runtime.vault.settings import VaultSettings

STALE_SECONDS = 60.0
"""So long an account is used that nobody can look at, while PostgreSQL is away."""
FORGET_SECONDS = 60.0
AWAY_SECONDS = 5.0
STATEMENT_SECONDS = 5.0

_SQL = load_queries("mirsal_runtime.vault")
_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
log = structlog.get_logger(__name__)


class Name(NamedTuple):
    """Which credential."""

    workspace: str
    credential_id: str


class Opened(NamedTuple):
    """An account; another `revision` is another account."""

    revision: UUID
    account: Account


class Refused(NamedTuple):
    """Why there is no account that could be used, until a person acts."""

    code: str
    message: str


@dataclass(slots=True)
class _Entry:
    """What the last look gave, when it was (monotonic), and when it was last asked for."""

    found: Opened | Refused
    looked_at: float
    due: float
    used_at: float


class Vault:
    """The accounts of one type that this process may read."""

    def __init__(
        self,
        pool: Pool,
        keys: KeyKeeper,
        kind: CredentialType,
        *,
        fresh_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._keys = keys
        self._kind = kind
        self._fresh_seconds = fresh_seconds
        self._clock = clock
        self._entries: dict[Name, _Entry] = {}
        self._looks: Batcher[Name, bool] = Batcher(self._look)

    async def open(self, workspace: str, credential_id: str, *, anew: bool = False) -> Opened:
        """The account, as it was at most `fresh_seconds` ago, or with `anew` as it is.

        Raises `ActionRequired` where there is none, or it does not open, and `ThrottledError`
        while nobody can tell.
        """
        name = Name(workspace, credential_id)
        entry = self._entries.get(name)
        if anew or entry is None or entry.due <= self._clock():
            if not await self._looks.submit(name):
                raise ThrottledError(
                    "credential_unavailable",
                    "the credentials cannot be read at the moment",
                    retry_after=AWAY_SECONDS,
                )
            entry = self._entries[name]
        entry.used_at = self._clock()
        if isinstance(entry.found, Refused):
            raise ActionRequired(*entry.found)
        return entry.found

    async def _look(self, names: Sequence[Name]) -> Sequence[bool]:
        """Look at credentials once more, all in one statement; whether each is known then."""
        wanted = sorted(set(names))
        try:
            rows = await self._pool.fetch(_SQL["look"], *zip(*wanted, strict=True), self._kind)
            found = {Name(row["workspace"], row["credential_id"]): row for row in rows}
            for name in wanted:
                self._remember(name, await self._read(name, found.get(name)))
        except _AWAY as error:
            log.warning("vault_away", error=error)
            self._do_without(wanted)
        self._forget_unused()
        return [name in self._entries for name in names]

    async def _read(self, name: Name, row: asyncpg.Record | None) -> Opened | Refused:
        if row is None:
            return Refused(
                "credential_missing",
                f"there is no credential {name.credential_id!r} of type {self._kind} in this "
                "workspace (any more): make it, or publish the workflow with another one",
            )
        known = self._entries.get(name)
        if known and isinstance(known.found, Opened) and known.found.revision == row["revision"]:
            return known.found
        try:
            return Opened(row["revision"], await self._open(name, row))
        except KeyUnknown as error:
            code = "key_unknown"
            reason = f"{error}, with which it was sealed: give it to this process"
        except KeysUnusable as error:
            code, reason = "keys_unusable", str(error)
        except SealBroken:
            code = "seal_broken"
            reason = "it was not sealed for this workspace, id and type, or was changed since"
        except ValidationError:
            code, reason = "no_account", "what was sealed is no account: put it again"
        log.error(
            "credential_unreadable",
            workspace=name.workspace,
            credential_id=name.credential_id,
            code=code,
        )
        return Refused(
            "credential_unreadable", f"credential {name.credential_id!r} does not open: {reason}"
        )

    async def _open(self, name: Name, row: asyncpg.Record) -> Account:
        data_key = await self._keys.unwrap(
            Wrapped(row["key_id"], row["wrapped"]),
            data_key_context(name.workspace, row["data_key"]),
        )
        context = account_context(*name, row["type"], row["data_key"])
        return ACCOUNT.validate_json(unseal(data_key, row["sealed"], context), extra="ignore")

    def _remember(self, name: Name, found: Opened | Refused) -> None:
        now = self._clock()
        self._entries[name] = _Entry(found, now, now + self._fresh_seconds, now)

    def _do_without(self, names: Sequence[Name]) -> None:
        """Go on with what was seen a short time ago, and without what was not."""
        now = self._clock()
        for name in names:
            entry = self._entries.get(name)
            if entry is not None and entry.looked_at + STALE_SECONDS < now:
                del self._entries[name]
            elif entry is not None:
                entry.due, entry.used_at = now + self._fresh_seconds, now

    def _forget_unused(self) -> None:
        before = self._clock() - FORGET_SECONDS
        for name in [each for each, entry in self._entries.items() if entry.used_at < before]:
            del self._entries[name]


@asynccontextmanager
async def open_vault(kind: CredentialType, role: str) -> AsyncIterator[Vault]:
    """The vault as the environment describes it; it connects when it is first asked."""
    process, settings = ConnectorSettings(), VaultSettings()
    pool = await open_pool(
        process.database_url,
        role=role,
        application=f"{process.instance}-vault",
        size=1,
        statement_seconds=STATEMENT_SECONDS,
    )
    try:
        yield Vault(
            pool,
            GivenKeys(settings.keys, settings.keys_file),
            kind,
            fresh_seconds=settings.fresh_seconds,
        )
    finally:
        await close_pool(pool)
