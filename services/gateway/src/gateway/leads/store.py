"""The table `leads`."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import asyncpg
from mirsal_contracts.leads import Lead
from mirsal_runtime.queries import load_queries
from mirsal_runtime.vault.personal import LeadKey

from gateway.audit.entries import Action, Entry, Origin
from gateway.audit.masking import find_changes, mask_lead
from gateway.audit.store import record
from gateway.leads.opening import UNREADABLE, Opener, open_lead
from gateway.leads.schemas import LeadDraft, LeadView
from gateway.leads.sealing import Kit, LeadSealer, seal_lead, take_keys
from gateway.paging import Asked, BothWays
from gateway.problems import unavailable
from gateway.store import Database, Transaction

if TYPE_CHECKING:
    from mirsal_contracts.message import JsonObject

_SQL = load_queries("gateway.leads")
_LIST = BothWays.of(_SQL["list"])
_FIND_BY_EMAIL = BothWays.of(_SQL["find_by_email"])
_FIND_BY_PHONE = BothWays.of(_SQL["find_by_phone"])
_PLAIN_MEMBERS = ("name", "email", "phone", "locale", "time_zone")
_PERSONAL_COLUMNS = (*_PLAIN_MEMBERS, "tags", "fields", "consent")


class NewLead(NamedTuple):
    """A lead that is to be written; its draft's phone number is in its final form. `line` is where
    it stands in an import."""

    lead_id: str
    draft: LeadDraft
    line: int = 0


class Sought(NamedTuple):
    """Whose leads are asked for, in the form in which both are stored; None takes all."""

    email: str | None = None
    phone: str | None = None


class Saved(NamedTuple):
    """How many leads of an import are new, and the ids of those that it must leave out."""

    created: int
    omitted: frozenset[str] = frozenset()


class Erased(NamedTuple):
    """What an erasure found."""

    was_there: bool
    had_key: bool


class LeadStore:
    """Reads and writes leads; every method keeps to one workspace.

    Leads are sealed where the gateway has a vault, and read whether they are or not. Raises a 503
    `Problem` where keys cannot be had.
    """

    def __init__(self, database: Database, sealer: LeadSealer, opener: Opener) -> None:
        self._database = database
        self._sealer = sealer
        self._opener = opener

    async def save(self, origin: Origin, lead: NewLead) -> tuple[LeadView, bool]:
        """The lead as it stands now, and whether it is new."""
        workspace, lead_id = origin.workspace, lead.lead_id
        kit = await self._sealer.kit_for(workspace)
        # Not within the transaction: it would take a second connection of the same pool, and so
        # many saves at once could each wait for another's.
        known = await self._find_key(workspace, lead_id) if kit is None else {}

        async def work(transaction: Transaction) -> tuple[LeadView, bool]:
            old = await transaction.fetch_row(_SQL["read_for_change"], workspace, lead_id)
            keys = known if kit is None else await take_keys(transaction, kit, [lead_id])
            was = None if old is None else _opened(old, keys.get(lead_id))
            rows = _rows(kit, keys, [lead])
            (new,) = await transaction.fetch(_SQL["save"], workspace, rows)
            view = _view(_lead_of(lead), new)
            entry = _entry(origin, was, view)
            if entry is not None:
                await record(transaction, entry)
            return view, new["is_new"]

        return await self._database.transact_in(workspace, work)

    async def save_many(
        self,
        workspace: str,
        leads: Sequence[NewLead],
        describe: Callable[[int], Entry | None],
        job_id: UUID | None = None,
    ) -> Saved:
        """What became of `leads`. Of several with one id the last counts.

        `describe` gives the entry for so many new ones. Of the job `job_id`, if it is one's, those
        are left out that were erased since it began.
        """
        kit = await self._sealer.kit_for(workspace)

        async def work(transaction: Transaction) -> Saved:
            unique = {lead.lead_id: lead for lead in leads}
            omitted = await _find_omitted(transaction, workspace, job_id, list(unique))
            for lead_id in omitted:
                del unique[lead_id]
            keys: Mapping[str, LeadKey] = {}
            if kit is not None:
                await transaction.fetch(_SQL["lock"], workspace, list(unique))
                keys = await take_keys(transaction, kit, list(unique))
            rows = _rows(kit, keys, list(unique.values()))
            created = _count_new(await transaction.fetch(_SQL["save"], workspace, rows))
            entry = describe(created)
            if entry is not None:
                await record(transaction, entry)
            return Saved(created, omitted)

        return await self._database.transact_in(workspace, work)

    async def read(self, workspace: str, lead_id: str) -> LeadView | None:
        """One lead."""
        rows = await self._database.fetch_in(workspace, _SQL["read"], workspace, lead_id)
        return next(iter(await self._views(workspace, rows)), None)

    async def list_leads(self, workspace: str, sought: Sought, asked: Asked) -> list[LeadView]:
        """A page of leads, and one more."""
        lists, values = await self._to_search(workspace, sought)
        rows = await self._database.fetch_in(
            workspace,
            lists.for_page(asked),
            workspace, *asked.after, asked.since, asked.until, asked.limit + 1, *values,
        )  # fmt: skip
        return await self._views(workspace, rows)

    async def _to_search(
        self, workspace: str, sought: Sought
    ) -> tuple[BothWays, Sequence[str | bytes | None]]:
        """The statement that finds them, and what it is given to do so."""
        if sought == Sought():
            return _LIST, ()
        kit = await self._sealer.kit_to_open(workspace)
        by_phone = (_index(kit, "phone", sought.phone), sought.phone)
        if sought.email is None:
            return _FIND_BY_PHONE, by_phone
        return _FIND_BY_EMAIL, (_index(kit, "email", sought.email), sought.email, *by_phone)

    async def erase(self, origin: Origin, lead_id: str) -> Erased:
        """Have no lead of this id, and destroy its key: both count, with the entry, or neither."""
        workspace = origin.workspace

        async def work(transaction: Transaction) -> Erased:
            await transaction.fetch(_SQL["omit_from_imports"], workspace, lead_id)
            gone = await transaction.fetch(_SQL["erase"], workspace, lead_id)
            keys = await transaction.fetch(_SQL["destroy_key"], workspace, lead_id)
            erased = Erased(bool(gone), bool(keys))
            if any(erased):
                told: JsonObject = {"lead": erased.was_there, "key": erased.had_key}
                await record(transaction, Entry(origin, Action.LEAD_ERASED, lead_id, told))
            for row in keys:
                self._opener.forget(workspace, str(row["id"]))
            return erased

        return await self._database.transact_in(workspace, work)

    async def list_open(self, limit: int) -> list[tuple[str, str]]:
        """Workspaces and ids of leads that are not sealed, of all workspaces."""
        rows = await self._database.fetch_everywhere(_SQL["list_open"], limit)
        return [(row["workspace"], row["lead_id"]) for row in rows]

    async def seal_open(self, workspace: str, lead_ids: Sequence[str]) -> int:
        """Seal leads as they are; how many were not yet. None are where there is no vault."""
        kit = await self._sealer.kit_for(workspace)

        async def work(transaction: Transaction) -> int:
            if kit is None:
                return 0
            rows = await transaction.fetch(_SQL["read_open"], workspace, lead_ids)
            keys = await take_keys(transaction, kit, [row["lead_id"] for row in rows])
            sealed = [_sealed_row(kit, keys[row["lead_id"]], open_lead_of(row)) for row in rows]
            return len(await transaction.fetch(_SQL["seal"], workspace, sealed))

        return await self._database.transact_in(workspace, work)

    async def _views(self, workspace: str, rows: Sequence[asyncpg.Record]) -> list[LeadView]:
        """The leads of rows; without those that were erased a moment ago."""
        ids = {str(row["key_id"]) for row in rows if row["key_id"] is not None}
        keys = await self._opener.find_keys(workspace, ids)
        return [
            _opened(row, keys.get(str(row["key_id"])))
            for row in rows
            if row["sealed"] is None or str(row["key_id"]) in keys
        ]

    async def _find_key(self, workspace: str, lead_id: str) -> dict[str, LeadKey]:
        """The lead's key under the lead's id; empty if it has none."""
        rows = await self._database.fetch_in(workspace, _SQL["read"], workspace, lead_id)
        ids = {str(row["key_id"]) for row in rows if row["key_id"] is not None}
        keys = await self._opener.find_keys(workspace, ids)
        return {key.lead_id: key for key in keys.values()}


async def _find_omitted(
    work: Transaction, workspace: str, job_id: UUID | None, lead_ids: Sequence[str]
) -> frozenset[str]:
    """Those of the leads that were erased while this import was under way; until `work` ends, no
    more become so."""
    if job_id is None:
        return frozenset()
    await work.fetch(_SQL["lock_import"], workspace, job_id)
    rows = await work.fetch(_SQL["list_omissions"], job_id, lead_ids)
    return frozenset(row["lead_id"] for row in rows)


def _index(kit: Kit | None, what: str, value: str | None) -> bytes | None:
    """What a sealed lead is found by; None where there are none."""
    found = None if kit is None else kit.blind(what, value)
    return None if found is None else bytes.fromhex(found)


def _opened(row: asyncpg.Record, key: LeadKey | None) -> LeadView:
    """The lead of a row. Raises a 503 `Problem` for a sealed one whose key was not there yet."""
    if row["sealed"] is None:
        return _view(open_lead_of(row), row)
    if key is None:
        raise unavailable(UNREADABLE)
    return _view(open_lead(key, row["sealed"]), row)


def open_lead_of(row: asyncpg.Record) -> Lead:
    """The lead of a row that is not sealed."""
    return Lead.model_validate(
        {"id": row["lead_id"], **{name: row[name] for name in _PERSONAL_COLUMNS}}
    )


def _entry(origin: Origin, old: LeadView | None, new: LeadView) -> Entry | None:
    """What differs; None for a save that says what was there."""
    before, after = find_changes({} if old is None else _told(old), _told(new))
    if old is not None and not after:
        return None
    was = None if old is None else mask_lead(before)
    return Entry(origin, Action.LEAD_SAVED, new.lead_id, was, mask_lead(after))


def _told(view: LeadView) -> dict[str, Any]:
    return view.model_dump(
        mode="json",
        by_alias=True,
        exclude={"lead_id", "id", "created_at", "updated_at"},
    )


def _count_new(rows: Sequence[asyncpg.Record]) -> int:
    return sum(row["is_new"] for row in rows)


def _rows(
    kit: Kit | None, keys: Mapping[str, LeadKey], leads: Sequence[NewLead]
) -> list[Mapping[str, object]]:
    """The rows to write, sealed with the leads' keys if there is a kit."""
    if kit is None:
        return [_open_row(lead) for lead in leads]
    return [_sealed_row(kit, keys[lead.lead_id], _lead_of(lead)) for lead in leads]


def _open_row(lead: NewLead) -> Mapping[str, object]:
    row = lead.draft.model_dump(mode="json", exclude={"consent", "lead_id"})
    consent = lead.draft.consent.model_dump(exclude_none=True)
    return {**row, "lead_id": lead.lead_id, "consent": consent}


def _sealed_row(kit: Kit, key: LeadKey, lead: Lead) -> Mapping[str, object]:
    return {
        "lead_id": lead.id,
        "tags": [],
        "fields": {},
        "consent": {},
        "key_id": key.id,
        "sealed": seal_lead(key, lead),
        "email_index": kit.blind("email", lead.email),
        "phone_index": kit.blind("phone", lead.phone),
    }


def _lead_of(lead: NewLead) -> Lead:
    members = lead.draft.model_dump(mode="json", exclude={"lead_id"})
    return Lead.model_validate({"id": lead.lead_id, **members})


def _view(lead: Lead, row: asyncpg.Record) -> LeadView:
    return LeadView(
        lead_id=lead.id,
        id=lead.id,
        **{name: getattr(lead, name) for name in _PLAIN_MEMBERS},
        tags=list(lead.tags),
        fields=lead.fields,
        consent=lead.consent,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
