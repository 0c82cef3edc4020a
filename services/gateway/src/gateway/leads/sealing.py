"""Sealing leads with keys of their own, which are wrapped by their workspace's data key."""

from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from hmac import digest
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID, uuid4

import structlog
from mirsal_contracts.leads import LEAD, Lead
from mirsal_runtime.queries import load_queries
from mirsal_runtime.vault.keys import KeysUnusable, KeyUnknown
from mirsal_runtime.vault.personal import LeadKey
from mirsal_runtime.vault.sealing import SealBroken, lead_key_context, make_key, seal, unseal

from gateway.credentials.sealing import Sealer
from gateway.problems import unavailable
from gateway.store import Transaction

_SQL = load_queries("gateway.leads", "keys.sql")
_INDEX_BYTES: Final = 16
MOST_WORKSPACES: Final = 1_000

FindDataKey: TypeAlias = Callable[[str], Awaitable[tuple[UUID, bytes] | None]]
log = structlog.get_logger(__name__)


class Kit(NamedTuple):
    """What sealing takes in one workspace."""

    workspace: str
    data_key_id: UUID
    data_key: bytes

    def blind(self, what: str, value: str | None) -> str | None:
        """What an address or a number is found by; in hexadecimal digits.

        Who has the table alone cannot tell what it stands for, nor try addresses.
        """
        if value is None:
            return None
        key = digest(self.data_key, b"mirsal blind index", sha256)
        text = f"{what}\0{value.casefold()}".encode()
        return digest(key, text, sha256)[:_INDEX_BYTES].hex()

    def open_key(self, key_id: UUID, lead_id: str, wrapped: bytes) -> LeadKey:
        """A lead's key. Raises `SealBroken`."""
        plain = unseal(self.data_key, wrapped, self._context(key_id, lead_id))
        return LeadKey(str(key_id), self.workspace, lead_id, plain)

    def make_key(self, lead_id: str) -> tuple[UUID, bytes]:
        """The id of a new key of a lead, and the key as it is stored."""
        key_id = uuid4()
        return key_id, seal(self.data_key, make_key(), self._context(key_id, lead_id))

    def _context(self, key_id: UUID, lead_id: str) -> bytes:
        return lead_key_context(self.workspace, lead_id, key_id, self.data_key_id)


class LeadSealer:
    """Has the kit of each workspace; none where it is not to seal.

    Then leads are stored as they are, as by 0.1.0.
    """

    def __init__(self, sealer: Sealer, *, is_on: bool) -> None:
        self._sealer = sealer
        self._is_on = is_on
        self._kits: dict[str, Kit] = {}

    async def kit_for(self, workspace: str) -> Kit | None:
        """The workspace's kit. Raises a 503 `Problem` where its data key does not open."""
        return await self._kit(workspace, self._sealer.open_data_key) if self._is_on else None

    async def kit_to_open(self, workspace: str) -> Kit | None:
        """The kit with which something may have been sealed, also where nothing is any more; None
        where nothing ever was. Raises as `kit_for`."""
        return await self._kit(workspace, self._sealer.find_data_key)

    async def _kit(self, workspace: str, find: FindDataKey) -> Kit | None:
        kit = self._kits.get(workspace)
        if kit is not None:
            return kit
        try:
            found = await find(workspace)
        except (KeysUnusable, KeyUnknown, SealBroken, OSError, TimeoutError) as error:
            log.error("vault_unusable", workspace=workspace, error=error)
            raise unavailable("The vault cannot seal anything at the moment.") from None
        if found is None:
            return None
        if len(self._kits) >= MOST_WORKSPACES:
            self._kits.clear()
        kit = self._kits[workspace] = Kit(workspace, *found)
        return kit


async def take_keys(work: Transaction, kit: Kit, lead_ids: Sequence[str]) -> dict[str, LeadKey]:
    """The keys of leads, made where there are none; nobody erases them before `work` ends.

    Whoever calls has locked those of the leads that exist, as an erasure does.
    """
    wanted = sorted(set(lead_ids))
    keys = await _lock_keys(work, kit, wanted)
    while missing := [lead_id for lead_id in wanted if lead_id not in keys]:
        made = [(lead_id, *kit.make_key(lead_id)) for lead_id in missing]
        ids, key_ids, wrapped = (list(column) for column in zip(*made, strict=True))
        await work.fetch(_SQL["add_keys"], kit.workspace, kit.data_key_id, ids, key_ids, wrapped)
        keys |= await _lock_keys(work, kit, missing)
    return keys


async def _lock_keys(work: Transaction, kit: Kit, lead_ids: Sequence[str]) -> dict[str, LeadKey]:
    rows = await work.fetch(_SQL["lock_keys"], kit.workspace, lead_ids)
    try:
        return {
            row["lead_id"]: kit.open_key(row["id"], row["lead_id"], row["wrapped"]) for row in rows
        }
    except SealBroken:
        log.error("lead_key_unreadable", workspace=kit.workspace)
        raise unavailable("The key of a lead does not open.") from None


def seal_lead(key: LeadKey, lead: Lead) -> str:
    """The lead as it is stored, and as messages carry it."""
    sealed = key.seal(lead.model_dump_json(by_alias=True, exclude={"sealed"}).encode(), LEAD)
    return str(sealed["text"])
