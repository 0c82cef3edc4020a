"""What callers may do about whom their workspace writes to."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from hmac import digest
from typing import Final
from uuid import UUID

import structlog
from mirsal_runtime.vault.address_index import derive_index_key, index_address
from mirsal_runtime.vault.keys import KeysUnusable, KeyUnknown
from mirsal_runtime.vault.sealing import SealBroken

from gateway.audit.origins import origin_of
from gateway.auth.schemas import Principal
from gateway.credentials.sealing import Sealer
from gateway.paging import Asked, Cursor, cut_page
from gateway.problems import Fault, Problem, conflict, invalid, not_found, unavailable
from gateway.repeats import Once, Repeated
from gateway.sending.addresses import mask_address, read_address
from gateway.sending.schemas import (
    Channel,
    Kind,
    PolicyDraft,
    PolicyView,
    SendingView,
    SuppressionDraft,
    SuppressionImport,
    SuppressionPage,
    SuppressionsSaved,
    SuppressionView,
)
from gateway.sending.store import NewSuppression, SendingStore

TURN: Final = 50
"""After so many addresses of an import the other callers have their turn."""
_FREE: Final = PolicyView(only_listed=False, updated_by=None, updated_at=None)
log = structlog.get_logger(__name__)


class Sending:
    """Raises `Problem`."""

    def __init__(self, store: SendingStore, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer

    async def save(self, caller: Principal, draft: SuppressionDraft, once: Once) -> SuppressionView:
        """The address as it is listed now; a 409 `Problem` where it is denied, and would not be."""
        address = self._read_address(draft)
        data_key_id, data_key = await self._open_key(caller.workspace)
        key = derive_index_key(data_key)
        once = _keyed(once, key)
        index = index_address(key, draft.channel, address)
        masked = mask_address(draft.channel, address)
        new = NewSuppression(draft.channel, draft.kind, index, masked, draft.reason, data_key_id)
        try:
            saved = await self._store.save(new, origin_of(caller), once)
        except Repeated:
            found = await self._store.find(caller.workspace, draft.channel, index)
            if found is None:
                raise not_found("What an earlier call with this key listed was removed.") from None
            return found
        if saved is None:
            raise conflict("The address is denied: remove that first, if whoever has it agreed.")
        return saved

    async def import_many(
        self, caller: Principal, draft: SuppressionImport, once: Once
    ) -> SuppressionsSaved:
        """How many are listed now. A `Problem` with the place of each that cannot be, and then
        none of them is: 422, and 409 for what is denied and would not be."""
        data_key_id, data_key = await self._open_key(caller.workspace)
        key = derive_index_key(data_key)
        once = _keyed(once, key)
        new: dict[bytes, NewSuppression] = {}
        faults: list[Fault] = []
        for place, each in enumerate(draft.items):
            if place % TURN == 0:
                await asyncio.sleep(0)
            try:
                address = read_address(each.channel, each.address)
            except ValueError as error:
                faults.append(Fault(str(error), f"/items/{place}/address"))
                continue
            index = index_address(key, each.channel, address)
            if index in new:
                faults.append(Fault("is listed twice", f"/items/{place}/address"))
            masked = mask_address(each.channel, address)
            new[index] = NewSuppression(
                each.channel, each.kind, index, masked, each.reason, data_key_id
            )
        if faults:
            raise invalid(faults)
        with suppress(Repeated):
            denied = await self._store.save_many(list(new.values()), origin_of(caller), once)
            if denied:
                raise _refuse(denied)
        return SuppressionsSaved(saved=len(draft.items))

    async def list_suppressions(
        self, caller: Principal, channel: Channel | None, kind: Kind | None, asked: Asked
    ) -> SuppressionPage:
        """A page of listed addresses."""
        found = await self._store.list_suppressions(caller.workspace, channel, kind, asked)
        items, cursor = cut_page(
            found, asked.limit, lambda each: Cursor(each.created_at, each.suppression_id)
        )
        return SuppressionPage(items=list(items), next_cursor=cursor)

    async def remove(self, caller: Principal, suppression_id: str) -> SuppressionView:
        """The address as it was listed."""
        try:
            wanted = UUID(suppression_id)
        except ValueError:
            raise _missing() from None
        removed = await self._store.remove(origin_of(caller), wanted)
        if removed is None:
            raise _missing()
        return removed

    async def read(self, caller: Principal) -> SendingView:
        """The policies of both channels."""
        found = await self._store.read_policies(caller.workspace)
        return SendingView(email=found.get("email", _FREE), whatsapp=found.get("whatsapp", _FREE))

    async def save_policy(
        self, caller: Principal, channel: Channel, draft: PolicyDraft
    ) -> PolicyView:
        """The policy as it is wanted."""
        data_key_id, _ = await self._open_key(caller.workspace)
        return await self._store.save_policy(
            origin_of(caller), channel, draft.only_listed, data_key_id
        )

    def _read_address(self, draft: SuppressionDraft) -> str:
        try:
            return read_address(draft.channel, draft.address)
        except ValueError as error:
            raise invalid([Fault(str(error), "/address")]) from error

    async def _open_key(self, workspace: str) -> tuple[UUID, bytes]:
        """The workspace's data key, which is made if there is none, also where leads are not
        sealed: connectors derive the same index from it."""
        try:
            return await self._sealer.open_data_key(workspace)
        except (KeysUnusable, KeyUnknown, SealBroken, OSError, TimeoutError) as error:
            log.error("vault_unusable", workspace=workspace, error=error)
            raise unavailable("The vault cannot index anything at the moment.") from None


def _keyed(once: Once, key: bytes) -> Once:
    """The call with a digest of its body in which nobody can try addresses."""
    return once._replace(body_hash=digest(key, once.body_hash, sha256))


def _refuse(denied: Sequence[int]) -> Problem:
    faults = [Fault("is denied: remove that first", f"/items/{place}/kind") for place in denied]
    return conflict("Addresses are denied, and nothing was listed.", faults)


def _missing() -> Problem:
    return not_found("There is no such listed address.")
