"""The table `leads`."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import asyncpg
from mirsal_runtime.queries import load_queries

from gateway.leads.schemas import LeadDraft, LeadView
from gateway.paging import Cursor
from gateway.store import Database

_SQL = load_queries("gateway.leads")


class NewLead(NamedTuple):
    """A lead that is to be written; its draft's phone number is in its final form."""

    lead_id: str
    draft: LeadDraft


class LeadStore:
    """Reads and writes leads; every method keeps to one workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, workspace: str, lead: NewLead) -> tuple[LeadView, bool]:
        """The lead as it stands now, and whether it is new."""
        rows = await self._save(workspace, [lead])
        return _view(rows[0]), rows[0]["is_new"]

    async def save_many(self, workspace: str, leads: Sequence[NewLead]) -> int:
        """How many of `leads` are new. Of several with one id the last counts."""
        unique = {lead.lead_id: lead for lead in leads}
        rows = await self._save(workspace, list(unique.values()))
        return sum(row["is_new"] for row in rows)

    async def read(self, workspace: str, lead_id: str) -> LeadView | None:
        """One lead."""
        row = await self._database.fetch_row(_SQL["read"], workspace, lead_id)
        return None if row is None else _view(row)

    async def list_leads(self, workspace: str, after: Cursor, limit: int) -> list[LeadView]:
        """Leads, oldest first."""
        rows = await self._database.fetch(_SQL["list"], workspace, after.at, after.id, limit)
        return [_view(row) for row in rows]

    async def _save(self, workspace: str, leads: Sequence[NewLead]) -> list[asyncpg.Record]:
        return await self._database.fetch(_SQL["save"], workspace, [_row(lead) for lead in leads])


def _row(lead: NewLead) -> Mapping[str, object]:
    row = lead.draft.model_dump(mode="json", exclude={"consent", "lead_id"})
    consent = lead.draft.consent.model_dump(exclude_none=True)
    return {**row, "lead_id": lead.lead_id, "consent": consent}


def _view(row: asyncpg.Record) -> LeadView:
    members = {name: value for name, value in row.items() if name != "is_new"}
    return LeadView(id=row["lead_id"], **members)
