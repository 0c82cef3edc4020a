"""Keys of leads without PostgreSQL: made, looked up by the real reader, and erased."""

from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID, uuid4

from mirsal_contracts.leads import LEAD, Lead, Sealed
from mirsal_runtime.vault.keys import GivenKeys, write_new_key
from mirsal_runtime.vault.lead_keys import KeyRow, LeadKeys
from mirsal_runtime.vault.personal import LeadKey
from mirsal_runtime.vault.sealing import data_key_context, lead_key_context, make_key, seal
from pydantic import SecretStr


class KeyCabinet:
    """The rows that the gateway would publish. `away` has looking them up fail."""

    def __init__(self) -> None:
        self.keeper = GivenKeys(SecretStr(write_new_key("cabinet")))
        self.rows: dict[str, dict[str, Any]] = {}
        self.now = 0.0
        self.away = False
        self.looks = 0

    async def make(self, workspace: str, lead_id: str) -> LeadKey:
        """A lead's key, now published."""
        key_id, data_key_id = uuid4(), uuid4()
        key, data_key = make_key(), make_key()
        wrapped = await self.keeper.wrap(data_key, data_key_context(workspace, data_key_id))
        context = lead_key_context(workspace, lead_id, key_id, data_key_id)
        self.rows[str(key_id)] = {
            "id": key_id,
            "workspace": workspace,
            "lead_id": lead_id,
            "wrapped": seal(data_key, key, context),
            "data_key": data_key_id,
            "data_key_wrapped": wrapped.text,
            "key_id": wrapped.key_id,
        }
        return LeadKey(str(key_id), workspace, lead_id, key)

    def erase(self, key: LeadKey) -> None:
        """Destroy it, and let the time pass in which anybody remembers it."""
        del self.rows[key.id]
        self.now += 60.0

    def move(self, key: LeadKey, **changes: str | UUID | bytes) -> None:
        """Write something else into its row, which then does not open."""
        self.rows[key.id] |= changes
        self.now += 60.0

    def reader(self) -> LeadKeys:
        """What a process looks keys up with."""
        return LeadKeys(self._find, self.keeper, clock=lambda: self.now)

    async def _find(self, ids: list[str]) -> Sequence[KeyRow]:
        self.looks += 1
        if self.away:
            raise OSError("away")
        found: list[Mapping[str, Any]] = [self.rows[each] for each in ids if each in self.rows]
        return cast("Sequence[KeyRow]", found)


def seal_lead(lead: Lead, key: LeadKey) -> Lead:
    """The lead as messages carry it."""
    plain = lead.model_dump_json(by_alias=True, exclude={"sealed"}).encode()
    return Lead(id=lead.id, sealed=Sealed.model_validate(key.seal(plain, LEAD)))
