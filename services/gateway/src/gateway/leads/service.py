"""Saving, reading and erasing leads."""

import asyncio
from collections.abc import AsyncIterable, Iterable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from mirsal_runtime.broker import Outgoing

from gateway.audit.entries import Action, Entry
from gateway.audit.origins import origin_of
from gateway.audit.trail import Trail
from gateway.auth.schemas import Principal
from gateway.controls.wishes import publish_wishes
from gateway.leads.bulk import Line, Reader
from gateway.leads.contact import normalise_email, normalise_phone, plus_of_query, region_of
from gateway.leads.erasure import Erasure
from gateway.leads.schemas import (
    ImportReport,
    LeadDraft,
    LeadErased,
    LeadPage,
    LeadView,
    LineFault,
)
from gateway.leads.store import LeadStore, NewLead, Sought
from gateway.leads.tally import Tally
from gateway.paging import Asked, Cursor, cut_page
from gateway.problems import Fault, Problem, invalid, not_found, unavailable
from gateway.publishing import Intake
from gateway.runs.launch import Call, Deadlines

if TYPE_CHECKING:
    from mirsal_contracts.message import JsonObject

CHUNK_LEADS = 500
MOST_IMPORTS = 8
"""At a time in one process: each may last for minutes."""
BUSY_SECONDS = 10
BREATH_LEADS = 20
"""After so many lines other calls get their turn: a phone number takes some 0.1 ms to read."""


class Leads:
    """What callers may do with the leads of their workspace. Raises `Problem`."""

    def __init__(
        self,
        store: LeadStore,
        erasure: Erasure,
        intake: Intake,
        default_region: str | None,
        trail: Trail,
    ) -> None:
        self._store = store
        self._erasure = erasure
        self._intake = intake
        self._trail = trail
        self._default_region = default_region
        self._imports = 0

    async def save(
        self, caller: Principal, lead_id: str, draft: LeadDraft
    ) -> tuple[LeadView, bool]:
        """The lead after the save, and whether it is new."""
        return await self._store.save(origin_of(caller), self._finish(lead_id, draft))

    async def read(self, caller: Principal, lead_id: str) -> LeadView:
        """One lead."""
        view = await self._store.read(caller.workspace, lead_id)
        if view is None:
            raise not_found("There is no such lead.")
        await self._trail.record(Entry(origin_of(caller), Action.LEAD_READ, lead_id))
        return view

    async def erase(self, call: Call, lead_id: str) -> LeadErased:
        """Erase a lead; one that was erased is still told to its runs. A 404 `Problem` where there
        is neither, 503 where Kafka does not acknowledge: the lead is erased then, and whoever calls
        again tells its runs."""
        until = Deadlines.from_now().answer

        async def publish(messages: Sequence[Outgoing]) -> None:
            await publish_wishes(self._intake, messages, until=until, ids={"leadId": lead_id})

        done = await self._erasure.erase(call, origin_of(call.caller), lead_id, publish)
        if not any(done.erased) and not done.runs:
            raise not_found("There is no such lead.")
        return LeadErased(lead_id=lead_id, was_there=done.erased.was_there, runs=done.runs)

    async def list_leads(
        self, caller: Principal, asked: Asked, email: str | None = None, phone: str | None = None
    ) -> LeadPage:
        """A page of the workspace's leads; with an address or a number of those who have it."""
        sought = Sought(_read_email(email), self._read_phone(phone))
        found = await self._store.list_leads(caller.workspace, sought, asked)
        items, cursor = cut_page(
            found, asked.limit, lambda each: Cursor(each.created_at, each.lead_id)
        )
        seen: JsonObject = {"items": len(items), "cursor": cursor}
        if sought != Sought():
            seen["by"] = [name for name, value in sought._asdict().items() if value is not None]
        await self._trail.record(Entry(origin_of(caller), Action.LEADS_LISTED, "", after=seen))
        return LeadPage(items=list(items), next_cursor=cursor)

    async def import_leads(
        self, caller: Principal, chunks: AsyncIterable[bytes], reader: Reader
    ) -> ImportReport:
        """Save every line that is right, and report the others.

        What was saved stays saved, also where the body breaks off: the same import again is
        harmless. A 503 `Problem` while `MOST_IMPORTS` others are under way.
        """
        if self._imports >= MOST_IMPORTS:
            raise unavailable("Too many imports are under way.", retry_after=BUSY_SECONDS)
        self._imports += 1
        try:
            return await self._import(caller, chunks, reader)
        finally:
            self._imports -= 1

    async def _import(
        self, caller: Principal, chunks: AsyncIterable[bytes], reader: Reader
    ) -> ImportReport:
        tally = Tally(origin_of(caller))
        try:
            async for chunk in chunks:
                await self._take(reader.feed(chunk), tally)
            await self._take(reader.close(), tally)
            await self._flush(tally, is_last=True)
        except Problem:
            await self._record_end(tally, is_broken_off=True)
            raise
        await self._record_end(tally)
        return tally.to_report()

    async def import_part(
        self, caller: Principal, reader: Reader, body: bytes, job_id: UUID
    ) -> Tally:
        """Save the lines of a part of a job that are right; what came of it.

        Leads that were erased since the job began stay so. The audit log tells of the job as a
        whole.
        """
        tally = Tally(origin_of(caller), most_faults=None, job_id=job_id)
        tally.is_begun = True
        await self._take(reader.feed(body), tally)
        await self._take(reader.close(), tally)
        await self._flush(tally)
        return tally

    async def _record_end(self, tally: Tally, *, is_broken_off: bool = False) -> None:
        """For an import whose last leads were not also its end."""
        if tally.is_begun and not tally.is_ended:
            await self._trail.record(tally.to_entry(is_broken_off=is_broken_off))

    async def _take(self, lines: Iterable[Line], tally: Tally) -> None:
        for line in lines:
            tally.received += 1
            if tally.received % BREATH_LEADS == 0:
                await asyncio.sleep(0)
            faults = line.faults
            if line.lead is not None:
                try:
                    lead = self._finish(line.lead.lead_id, line.lead)
                    tally.waiting.append(lead._replace(line=line.number))
                    if len(tally.waiting) >= CHUNK_LEADS:
                        await self._flush(tally)
                except Problem as problem:
                    faults = [
                        LineFault(line=line.number, pointer=each.pointer, message=each.message)
                        for each in problem.faults
                    ]
            if faults:
                tally.failed += 1
                tally.keep(faults)

    async def _flush(self, tally: Tally, *, is_last: bool = False) -> None:
        if tally.waiting:
            describe = tally.describe(is_last=is_last)
            workspace = tally.origin.workspace
            tally.take_saved(
                await self._store.save_many(workspace, tally.waiting, describe, tally.job_id)
            )
            tally.is_begun, tally.is_ended = True, is_last

    def _read_phone(self, text: str | None) -> str | None:
        """A number as it is stored. Raises a 422 `Problem`."""
        if text is None:
            return None
        try:
            return normalise_phone(plus_of_query(text), self._default_region)
        except ValueError as error:
            raise invalid([Fault(str(error), parameter="phone")]) from error

    def _finish(self, lead_id: str, draft: LeadDraft) -> NewLead:
        """The lead with its phone number in its final form. Raises a 422 `Problem`."""
        if draft.phone is None:
            return NewLead(lead_id, draft)
        try:
            phone = normalise_phone(draft.phone, region_of(draft.locale) or self._default_region)
        except ValueError as error:
            raise invalid([Fault(str(error), "/phone")]) from error
        return NewLead(lead_id, draft.model_copy(update={"phone": phone}))


def _read_email(text: str | None) -> str | None:
    """An address as it is stored. Raises a 422 `Problem`."""
    if text is None:
        return None
    try:
        return normalise_email(plus_of_query(text))
    except ValueError as error:
        raise invalid([Fault(str(error), parameter="email")]) from error
