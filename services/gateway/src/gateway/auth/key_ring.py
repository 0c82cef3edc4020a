"""Making, showing, rotating and revoking a workspace's API keys."""

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import SecretStr

from gateway.audit.entries import Action, Entry
from gateway.audit.origins import origin_of
from gateway.audit.trail import Trail
from gateway.auth.access import scopes_of
from gateway.auth.keys import digest_of, generate_key, hint_of
from gateway.auth.schemas import KeyDraft, KeyMade, KeyPage, KeyView, Principal, Rotation
from gateway.auth.store import KeyRow, KeyStore, NewKey, place_of
from gateway.paging import Asked, cut_page
from gateway.problems import Fault, Problem, access_denied, invalid, not_found
from gateway.repeats import Once, Repeated, shown_already

if TYPE_CHECKING:
    from mirsal_contracts.message import JsonObject

KEY_PATH = "/api/automation/key/"


class KeyRing:
    """What owners may do with the keys of their workspace. Raises `Problem`.

    Nobody gives a key what they may not do themselves, nor gets a successor to such a key.
    """

    def __init__(self, store: KeyStore, pepper: SecretStr, trail: Trail) -> None:
        self._store = store
        self._pepper = pepper
        self._trail = trail

    async def make(self, caller: Principal, draft: KeyDraft, once: Once) -> KeyMade:
        """A new key, which is shown this once."""
        scopes = scopes_of(draft.role, draft.scopes)
        if draft.scopes is not None and scopes != frozenset(draft.scopes):
            raise invalid([Fault(f"are not all scopes of the role {draft.role}", "/scopes")])
        if not caller.may_give(scopes, draft.workflow_ids):
            raise access_denied()
        key = generate_key()
        new = NewKey(
            caller.workspace,
            draft.name,
            hint_of(key),
            digest_of(key, self._pepper),
            draft.role,
            draft.scopes,
            draft.workflow_ids,
            draft.rate_limit_per_minute,
            None if draft.lifetime_days is None else timedelta(days=draft.lifetime_days),
            caller.name,
        )
        try:
            row = await self._store.add(new, origin_of(caller), once)
        except Repeated as repeated:
            raise shown_already(f"{KEY_PATH}{repeated.id}") from None
        return KeyMade(**_members_of(row), key=key)

    async def read(self, caller: Principal, key_id: str) -> KeyView:
        """One key."""
        view = KeyView(**_members_of(await self._find(caller, key_id)))
        await self._trail.record(Entry(origin_of(caller), Action.KEY_READ, view.key_id))
        return view

    async def list_keys(self, caller: Principal, asked: Asked) -> KeyPage:
        """A page of the workspace's keys, with those that may no longer be used."""
        found = await self._store.list_keys(caller.workspace, asked)
        rows, cursor = cut_page(found, asked.limit, place_of)
        seen: JsonObject = {"items": len(rows)}
        await self._trail.record(Entry(origin_of(caller), Action.KEYS_LISTED, "", after=seen))
        return KeyPage(items=[KeyView(**_members_of(row)) for row in rows], next_cursor=cursor)

    async def rotate(self, caller: Principal, key_id: str, wanted: Rotation, once: Once) -> KeyMade:
        """A key that takes the other's place; both may be used for `overlap_hours`."""
        row = await self._find(caller, key_id)
        if not caller.may_give(row.scopes, row.workflow_ids):
            raise access_denied()
        key = generate_key()
        try:
            new = await self._store.rotate(
                row.id,
                caller.workspace,
                hint=hint_of(key),
                digest=digest_of(key, self._pepper),
                overlap=timedelta(hours=wanted.overlap_hours),
                origin=origin_of(caller),
                once=once,
            )
        except Repeated as repeated:
            raise shown_already(f"{KEY_PATH}{repeated.id}") from None
        if new is None:
            text = "The key may not be used any more, or was rotated already."
            raise Problem(409, "conflict", "Conflict", text)
        return KeyMade(**_members_of(new), key=key)

    async def revoke(self, caller: Principal, key_id: str) -> KeyView:
        """The key, which may not be used from now on; said again, nothing changes."""
        row = await self._find(caller, key_id)
        await self._store.revoke(row.id, caller.workspace, origin_of(caller))
        return KeyView(**_members_of(await self._find(caller, key_id)))

    async def _find(self, caller: Principal, key_id: str) -> KeyRow:
        try:
            row = await self._store.read(UUID(key_id), caller.workspace)
        except ValueError:
            row = None
        if row is None:
            raise not_found("There is no such key.")
        return row


def _members_of(row: KeyRow) -> dict[str, object]:
    members = row._asdict()
    del members["workspace"]
    return {
        **members,
        "key_id": str(members.pop("id")),
        "scopes": sorted(row.scopes),
        "replaced_by": None if row.replaced_by is None else str(row.replaced_by),
    }
