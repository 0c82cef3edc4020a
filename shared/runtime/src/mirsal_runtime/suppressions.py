"""Whom a workspace may write to on a connector's channel (docs/SENDING.md); nothing here writes.

A workspace without rules costs nothing: which have any is one statement every few seconds. For the
others each message's recipients are looked up anew, many messages in one statement.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID

import asyncpg
import structlog

from mirsal_runtime.batching import Batcher
from mirsal_runtime.failures import ActionRequired, PermanentError, ThrottledError
from mirsal_runtime.queries import load_queries
from mirsal_runtime.vault.address_index import derive_index_key, index_address
from mirsal_runtime.vault.keys import GivenKeys, KeyKeeper, KeysUnusable, KeyUnknown, Wrapped
from mirsal_runtime.vault.sealing import SealBroken, data_key_context
from mirsal_runtime.vault.settings import VaultSettings

FRESH_SECONDS: Final = 3.0
"""How late a policy, or the first address of a workspace, may count: later ones do at once."""
AWAY_SECONDS: Final = 5.0
MOST_KEYS: Final = 1_000
MESSAGES_AT_ONCE: Final = 50
"""A mail may have a hundred recipients and more."""
DENY: Final = "deny"
ALLOW: Final = "allow"

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

_SQL = load_queries("mirsal_runtime", "suppressions.sql")
_AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
log = structlog.get_logger(__name__)


class Policy(NamedTuple):
    """That a workspace has rules, and what its addresses' indexes are made with."""

    only_listed: bool
    data_key: UUID
    wrapped: Wrapped


class _Asked(NamedTuple):
    workspace: str
    indexes: tuple[bytes, ...]


class Suppressions:
    """The rules of one channel, as the views of the gateway show them to the pool's role."""

    def __init__(
        self,
        pool: Pool,
        keeper: KeyKeeper,
        channel: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._keeper = keeper
        self._channel = channel
        self._clock = clock
        self._policies: Mapping[str, Policy] = {}
        self._due: float | None = None
        self._keys: dict[UUID, bytes] = {}
        self._looks: Batcher[None, None] = Batcher(self._look)
        self._finds: Batcher[_Asked, Sequence[str | None]] = Batcher(
            self._find, limit=MESSAGES_AT_ONCE
        )

    async def has_rules(self, workspace: str) -> bool:
        """Whether the workspace has any. Raises `ThrottledError` while nobody can tell."""
        if not self._is_fresh():
            try:
                await self._looks.submit(None)
            except _AWAY as error:
                raise _unknown(error) from None
        return workspace in self._policies

    async def check(self, workspace: str, recipients: Sequence[str]) -> None:
        """Whether all may be written to; they are given as `index_address` has them.

        Raises `PermanentError` (`recipient_suppressed`), `ThrottledError` while nobody can tell,
        and `ActionRequired` where the workspace's key does not open.
        """
        policy = self._policies.get(workspace)
        if policy is None or not recipients:
            return
        key = await self._open_key(workspace, policy)
        indexes = tuple(index_address(key, self._channel, each) for each in recipients)
        try:
            kinds = await self._finds.submit(_Asked(workspace, indexes))
        except _AWAY as error:
            raise _unknown(error) from None
        denied = sum(kind == DENY for kind in kinds)
        unlisted = sum(kind is None for kind in kinds) if policy.only_listed else 0
        if denied or unlisted:
            raise PermanentError("recipient_suppressed", _describe(len(kinds), denied, unlisted))

    def _is_fresh(self) -> bool:
        return self._due is not None and self._clock() < self._due

    async def _look(self, asked: Sequence[None]) -> Sequence[None]:
        """Find out who has rules, unless somebody just did."""
        if not self._is_fresh():
            began = self._clock()
            rows = await self._pool.fetch(_SQL["policies"])
            self._policies = {
                row["workspace"]: Policy(
                    row["only_listed"], row["data_key"], Wrapped(row["key_id"], row["wrapped"])
                )
                for row in rows
            }
            self._due = began + FRESH_SECONDS
        return asked

    async def _find(self, asked: Sequence[_Asked]) -> Sequence[Sequence[str | None]]:
        indexes = {index for each in asked for index in each.indexes}
        rows = await self._pool.fetch(_SQL["find"], indexes)
        found = {(row["workspace"], row["address_index"]): row["kind"] for row in rows}
        return [[found.get((each.workspace, index)) for index in each.indexes] for each in asked]

    async def _open_key(self, workspace: str, policy: Policy) -> bytes:
        known = self._keys.get(policy.data_key)
        if known is not None:
            return known
        context = data_key_context(workspace, policy.data_key)
        try:
            data_key = await self._keeper.unwrap(policy.wrapped, context)
        except (KeyUnknown, SealBroken) as error:
            log.error("suppressions_unreadable", workspace=workspace, error=error)
            raise ActionRequired(
                "suppressions_unreadable",
                "the key of the workspace's lists does not open: give this process the vault's key",
            ) from None
        except (KeysUnusable, OSError, TimeoutError) as error:
            raise _unknown(error) from None
        if len(self._keys) >= MOST_KEYS:
            self._keys.clear()
        key = self._keys[policy.data_key] = derive_index_key(data_key)
        return key


def open_suppressions(pool: Pool, channel: str) -> Suppressions:
    """The lists as `pool` reads them, with the key-encryption keys of the environment."""
    settings = VaultSettings()
    return Suppressions(pool, GivenKeys(settings.keys, settings.keys_file), channel)


def _unknown(error: Exception) -> ThrottledError:
    log.warning("suppressions_unknown", error=error)
    return ThrottledError(
        "suppressions_unknown",
        "whom the workspace may write to cannot be looked up at the moment",
        retry_after=AWAY_SECONDS,
    )


def _describe(recipients: int, denied: int, unlisted: int) -> str:
    """Without an address: the text is shown, and kept."""
    faults = [
        f"{count} {what}"
        for count, what in (
            (denied, "may not be written to"),
            (unlisted, "not among those that alone may be"),
        )
        if count
    ]
    return f"of {recipients} recipients by the workspace's lists: {', '.join(faults)}"
