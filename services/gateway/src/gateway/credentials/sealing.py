"""Sealing accounts for their workspace, and wrapping data keys anew under another key."""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple
from uuid import UUID, uuid4

import orjson
import structlog
from mirsal_contracts.credentials import Account
from mirsal_runtime.vault.keys import KeyKeeper, KeyUnknown, Wrapped
from mirsal_runtime.vault.sealing import (
    SealBroken,
    account_context,
    data_key_context,
    make_key,
    seal,
)

from gateway.credentials.store import CredentialStore, DataKey

BATCH = 500
AT_ONCE = 16
"""Calls of a KMS under way at a time."""

log = structlog.get_logger(__name__)


class Rewrapped(NamedTuple):
    """What a rotation has done so far; `unreadable` data keys were left as they are."""

    done: int = 0
    unreadable: int = 0


class Sealer:
    """Seals accounts with the data keys of their workspaces.

    Raises `KeysUnusable` without key-encryption keys, `KeyUnknown` and `SealBroken` for a data key
    that they do not open.
    """

    def __init__(self, store: CredentialStore, keys: KeyKeeper) -> None:
        self._store = store
        self._keys = keys

    async def seal(
        self, workspace: str, credential_id: str, account: Account
    ) -> tuple[UUID, bytes]:
        """The data key's id, and the sealed account."""
        key_id, data_key = await self.open_data_key(workspace)
        context = account_context(workspace, credential_id, account.type, key_id)
        return key_id, seal(data_key, orjson.dumps(account.to_secret()), context)

    async def open_data_key(self, workspace: str) -> tuple[UUID, bytes]:
        """The workspace's data key, which is made if there is none yet, and its id."""
        key = await self._store.find_data_key(workspace)
        while key is None:
            key = await self._make_key(workspace)
        return await self._open(key)

    async def find_data_key(self, workspace: str) -> tuple[UUID, bytes] | None:
        """As `open_data_key`, but None where there is no key yet."""
        key = await self._store.find_data_key(workspace)
        return None if key is None else await self._open(key)

    async def _open(self, key: DataKey) -> tuple[UUID, bytes]:
        context = data_key_context(key.workspace, key.id)
        return key.id, await self._keys.unwrap(key.wrapped, context)

    async def rotate(self) -> AsyncIterator[Rewrapped]:
        """Have the current key-encryption key wrap all data keys; how far that is, now and then.

        May run beside everything else, itself included, and end at any time.
        """
        current = await self._keys.current()
        sofar, last = Rewrapped(), UUID(int=0)
        while found := await self._store.old_data_keys(current, last, BATCH):
            last = found[-1].id
            limit = asyncio.Semaphore(AT_ONCE)
            wrapped = await asyncio.gather(*(self._wrap_anew(key, limit) for key in found))
            readable = [
                (key, each.text)
                for key, each in zip(found, wrapped, strict=True)
                if each is not None and each.key_id == current
            ]
            done = await self._store.rewrap(current, readable)
            sofar = Rewrapped(sofar.done + done, sofar.unreadable + wrapped.count(None))
            yield sofar

    async def _make_key(self, workspace: str) -> DataKey | None:
        """The workspace's key: this one, or that of a call which was first."""
        key_id = uuid4()
        wrapped = await self._keys.wrap(make_key(), data_key_context(workspace, key_id))
        await self._store.add_data_key(DataKey(key_id, workspace, wrapped))
        return await self._store.find_data_key(workspace)

    async def _wrap_anew(self, key: DataKey, limit: asyncio.Semaphore) -> Wrapped | None:
        context = data_key_context(key.workspace, key.id)
        async with limit:
            try:
                return await self._keys.wrap(await self._keys.unwrap(key.wrapped, context), context)
            except (KeyUnknown, SealBroken) as error:
                log.error("data_key_unreadable", workspace=key.workspace, error=error)
                return None
