"""The keys of leads, as the gateway publishes them: looked up in batches, believed for seconds.

Nothing here writes. A key that is gone is a lead that was erased: what it sealed says nothing any
more, to anybody.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Container, Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import asyncpg
import structlog
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mirsal_runtime.batching import Batcher
from mirsal_runtime.queries import load_queries
from mirsal_runtime.vault.keys import GivenKeys, KeyKeeper, KeysUnusable, KeyUnknown, Wrapped
from mirsal_runtime.vault.personal import KeyName, LeadKey, is_key_id
from mirsal_runtime.vault.sealing import SealBroken, data_key_context, lead_key_context, unseal_with
from mirsal_runtime.vault.settings import VaultSettings

if TYPE_CHECKING:
    from uuid import UUID

FRESH_SECONDS: Final = 3.0
"""How long a key is used after it was seen: so long after an erasure it may still open."""
MOST_KEYS: Final = 20_000
MOST_DATA_KEYS: Final = 1_000
LEAD_ERASED: Final = "lead_erased"
LEAD_UNREADABLE: Final = "lead_unreadable"

FIND_KEYS: Final = load_queries("mirsal_runtime.vault")["look_for_lead_keys"]
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
KeyRow: TypeAlias = asyncpg.Record
"""A row of `FIND_KEYS`."""
Find: TypeAlias = Callable[[list[str]], Awaitable[Sequence[KeyRow]]]
log = structlog.get_logger(__name__)


class KeysAway(Exception):
    """Nobody can tell at the moment: PostgreSQL does not answer, or no key-encryption key is here.

    Try again later.
    """


class Lost(NamedTuple):
    """Why a key opens nothing: `lead_erased`, or `lead_unreadable` where a person must act."""

    code: str
    message: str


ERASED: Final = Lost(LEAD_ERASED, "the lead was erased")


class _Entry(NamedTuple):
    key: LeadKey
    wrapped: bytes
    due: float


class LeadKeys:
    """Finds keys with `find_rows`, which gives the rows of `FIND_KEYS` for ids."""

    def __init__(
        self,
        find_rows: Find,
        keeper: KeyKeeper,
        *,
        clock: Callable[[], float] = time.monotonic,
        most: int = MOST_KEYS,
    ) -> None:
        self._find_rows = find_rows
        self._keeper = keeper
        self._clock = clock
        self._most = most
        self._entries: OrderedDict[KeyName, _Entry] = OrderedDict()
        self._data_keys: dict[UUID, tuple[bytes, AESGCM]] = {}
        self._single: Batcher[KeyName, LeadKey | Lost] = Batcher(self._find_each, parallel=2)

    async def find_one(self, name: KeyName) -> LeadKey | Lost:
        """One key; many that are asked for at a time share a statement. Raises `KeysAway`."""
        return self._remembered(name) or await self._single.submit(name)

    async def find(
        self, names: Iterable[KeyName], anew: Container[KeyName] = ()
    ) -> dict[KeyName, LeadKey | Lost]:
        """The keys of these names, with one statement at most; those of `anew` as they are at this
        moment. Raises `KeysAway`."""
        found: dict[KeyName, LeadKey | Lost] = {}
        missing: list[KeyName] = []
        for name in set(names):
            key = None if name in anew else self._remembered(name)
            if key is None:
                missing.append(name)
            else:
                found[name] = key
        if missing:
            found.update(zip(missing, await self._find_each(missing), strict=True))
        return found

    def forget(self, name: KeyName) -> None:
        """Look at this one again, should anybody ask."""
        self._entries.pop(name, None)

    def _remembered(self, name: KeyName) -> LeadKey | None:
        entry = self._entries.get(name)
        if entry is None or entry.due <= self._clock():
            return None
        self._entries.move_to_end(name)
        return entry.key

    async def _find_each(self, names: Sequence[KeyName]) -> list[LeadKey | Lost]:
        ids = sorted({name.key_id for name in names if is_key_id(name.key_id)})
        try:
            rows = await self._find_rows(ids) if ids else ()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise KeysAway(f"the keys of leads cannot be read: {type(error).__name__}") from error
        by_name = {KeyName(row["workspace"], str(row["id"])): row for row in rows}
        keys = {name: await self._read(name, by_name.get(name)) for name in set(names)}
        while len(self._entries) > self._most:
            self._entries.popitem(last=False)
        return [keys[name] for name in names]

    async def _read(self, name: KeyName, row: asyncpg.Record | None) -> LeadKey | Lost:
        if row is None:
            self._entries.pop(name, None)
            return ERASED
        due = self._clock() + FRESH_SECONDS
        known = self._entries.get(name)
        if known is not None and known.wrapped == row["wrapped"]:
            key = known.key
        else:
            try:
                key = await self._open(name, row)
            except KeysUnusable as error:
                raise KeysAway(str(error)) from None
            except (KeyUnknown, SealBroken) as error:
                reason = str(error) or "it was changed, or belongs elsewhere"
                log.error(
                    "lead_key_unreadable",
                    workspace=name.workspace,
                    key_ids=[name.key_id],
                    error=error,
                )
                return Lost(LEAD_UNREADABLE, f"the lead's key does not open: {reason}")
        self._entries[name] = _Entry(key, row["wrapped"], due)
        self._entries.move_to_end(name)
        return key

    async def _open(self, name: KeyName, row: asyncpg.Record) -> LeadKey:
        cipher = await self._open_data_key(row)
        context = lead_key_context(name.workspace, row["lead_id"], row["id"], row["data_key"])
        return LeadKey(
            name.key_id,
            name.workspace,
            row["lead_id"],
            unseal_with(cipher, row["wrapped"], context),
        )

    async def _open_data_key(self, row: KeyRow) -> AESGCM:
        known = self._data_keys.get(row["data_key"])
        if known is not None and known[0] == row["data_key_wrapped"]:
            return known[1]
        try:
            data_key = await self._keeper.unwrap(
                Wrapped(row["key_id"], row["data_key_wrapped"]),
                data_key_context(row["workspace"], row["data_key"]),
            )
        except (OSError, TimeoutError) as error:
            raise KeysAway(f"the keeper of keys does not answer: {error!r}") from error
        if len(self._data_keys) >= MOST_DATA_KEYS:
            self._data_keys.clear()
        cipher = AESGCM(data_key)
        self._data_keys[row["data_key"]] = row["data_key_wrapped"], cipher
        return cipher


def open_lead_keys(pool: Pool) -> LeadKeys:
    """The keys as `pool` reads them, with the key-encryption keys of the environment."""
    settings = VaultSettings()

    async def find_rows(ids: list[str]) -> list[asyncpg.Record]:
        return await pool.fetch(FIND_KEYS, ids)

    return LeadKeys(find_rows, GivenKeys(settings.keys, settings.keys_file))
