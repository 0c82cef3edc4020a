"""The table `leads`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg
from mirsal_runtime.queries import load_queries

from gateway.audit.entries import Action, Entry, Origin
from gateway.audit.masking import find_changes, mask_lead
from gateway.audit.store import change, record
from gateway.leads.schemas import LeadDraft, LeadView
from gateway.paging import Asked, BothWays
from gateway.store import Database, Transaction

_SQL = load_queries("gateway.leads")
_LIST = BothWays.of(_SQL["list"])


class NewLead(NamedTuple):
    """A lead that is to be written; its draft's phone number is in its final form."""

    lead_id: str
    draft: LeadDraft


class LeadStore:
    """Reads and writes leads; every method keeps to one workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, origin: Origin, lead: NewLead) -> tuple[LeadView, bool]:
        """The lead as it stands now, and whether it is new."""

        async def work(transaction: Transaction) -> asyncpg.Record:
            key = origin.workspace, lead.lead_id
            old = await transaction.fetch_row(_SQL["read_for_change"], *key)
            (new,) = await transaction.fetch(_SQL["save"], origin.workspace, [_row(lead)])
            entry = _entry(origin, old, new)
            if entry is not None:
                await record(transaction, entry)
            return new

        row = await self._database.transact_in(origin.workspace, work)
        return _view(row), row["is_new"]

    async def save_many(
        self, workspace: str, leads: Sequence[NewLead], describe: Callable[[int], Entry | None]
    ) -> int:
        """How many of `leads` are new. Of several with one id the last counts.

        `describe` gives the entry for so many new ones.
        """
        unique = {lead.lead_id: lead for lead in leads}
        rows = await change(
            self._database,
            workspace,
            lambda rows: describe(_count_new(rows)),
            _SQL["save"],
            workspace,
            [_row(lead) for lead in unique.values()],
        )
        return _count_new(rows)

    async def read(self, workspace: str, lead_id: str) -> LeadView | None:
        """One lead."""
        row = await self._database.fetch_row_in(workspace, _SQL["read"], workspace, lead_id)
        return None if row is None else _view(row)

    async def list_leads(self, workspace: str, asked: Asked) -> list[LeadView]:
        """A page of leads, and one more."""
        rows = await self._database.fetch_in(
            workspace,
            _LIST.for_page(asked),
            workspace, *asked.after, asked.since, asked.until, asked.limit + 1,
        )  # fmt: skip
        return [_view(row) for row in rows]


def _entry(origin: Origin, old: asyncpg.Record | None, new: asyncpg.Record) -> Entry | None:
    """What differs; None for a save that says what was there."""
    before, after = find_changes({} if old is None else _told(_view(old)), _told(_view(new)))
    if old is not None and not after:
        return None
    was = None if old is None else mask_lead(before)
    return Entry(origin, Action.LEAD_SAVED, new["lead_id"], was, mask_lead(after))


def _told(view: LeadView) -> dict[str, Any]:
    return view.model_dump(
        mode="json",
        by_alias=True,
        exclude={"lead_id", "id", "created_at", "updated_at"},
    )


def _count_new(rows: Sequence[asyncpg.Record]) -> int:
    return sum(row["is_new"] for row in rows)


def _row(lead: NewLead) -> Mapping[str, object]:
    row = lead.draft.model_dump(mode="json", exclude={"consent", "lead_id"})
    consent = lead.draft.consent.model_dump(exclude_none=True)
    return {**row, "lead_id": lead.lead_id, "consent": consent}


def _view(row: asyncpg.Record) -> LeadView:
    members = {name: value for name, value in row.items() if name != "is_new"}
    return LeadView(id=row["lead_id"], **members)
