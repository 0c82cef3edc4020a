"""Taking jobs in, showing how far they are, and ending them."""

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from uuid import UUID

import orjson
from mirsal_contracts.message import JsonObject

from gateway.audit.origins import origin_of
from gateway.auth.schemas import Principal
from gateway.bodies import Json, fit, slow
from gateway.issued_ids import STEM_BYTES, derive_stem, new_stem
from gateway.jobs.cutting import Cutter, Piece
from gateway.jobs.schemas import (
    FaultPage,
    JobAccepted,
    JobKind,
    JobPage,
    JobRun,
    JobRunPage,
    JobView,
    ReplayLetters,
    StartRuns,
)
from gateway.jobs.store import LASTS, MOST_OPEN, Job, JobFilter, JobStore, Part
from gateway.jobs.work import CSV
from gateway.paging import START, Asked, Cursor, cut_page
from gateway.problems import Fault, Problem, access_denied, conflict, invalid, not_found
from gateway.runs.launch import Call, Launcher, check_key
from gateway.runs.service import (
    RUN_PATH,
    FactFinder,
    refuse_large,
    refuse_repeated,
    require_active,
)
from gateway.runs.store import StartQuestion
from gateway.store import DatabaseUnavailable

JOB_PATH: Final = "/api/automation/job/"
RECEIVE_SECONDS: Final = 600.0
"""All of an import's body must have come within this time."""
LEADS_A_PART: Final = 200
PART_BYTES: Final = 16 * 1024 * 1024
_LAST_LINE: Final = 2**31 - 1


class Jobs:
    """What callers may do with the jobs of their workspace. Raises `Problem` and
    `DatabaseUnavailable`."""

    def __init__(
        self, store: JobStore, launcher: Launcher, finder: FactFinder, wake: Callable[[], None]
    ) -> None:
        self._store = store
        self._launcher = launcher
        self._finder = finder
        self._wake = wake

    async def import_leads(
        self, call: Call, chunks: AsyncIterable[bytes], media_type: str
    ) -> JobAccepted:
        """Store the body in parts, to be worked off."""
        job = self._draw(call, "leads_import", None)
        cutter = Cutter(is_csv=media_type == CSV)
        digest, number, total = sha256(), 0, 0

        async def store(pieces: list[Piece]) -> None:
            nonlocal number, total
            for piece in pieces:
                await self._store.add_part(job, number, Part(piece.line, piece.body))
                number, total = number + 1, total + piece.records

        async with self._receive(job):
            try:
                async with asyncio.timeout(RECEIVE_SECONDS):
                    async for chunk in chunks:
                        digest.update(chunk)
                        await store(list(cutter.feed(chunk)))
                    await store(list(cutter.close()))
            except TimeoutError as error:
                raise slow() from error
            request: JsonObject = {"mediaType": media_type, "header": [*(cutter.header or [])]}
            return await self._queue(job, call, digest.digest(), total, request)

    async def start_runs(self, call: Call, workflow_id: str, body: Json | Problem) -> JobAccepted:
        """Start the newest version of a workflow for each lead, later."""
        wanted = fit(StartRuns, body)
        facts = await self._finder.find(StartQuestion(call.caller.workspace, workflow_id, ()))
        if facts.version is None or not call.caller.may_use(workflow_id):
            raise access_denied()
        if isinstance(wanted, Problem):
            raise wanted
        refuse_large(wanted.input, body)
        refuse_repeated(wanted.lead_ids)
        require_active(facts)
        job = self._draw(call, "runs_start", workflow_id)
        size = len(orjson.dumps(wanted.input))
        count = max(1, min(LEADS_A_PART, PART_BYTES // (size + 1)))
        async with self._receive(job):
            for number, first in enumerate(range(0, len(wanted.lead_ids), count)):
                ids = wanted.lead_ids[first : first + count]
                await self._store.add_part(job, number, Part(first, orjson.dumps(ids)))
            request: JsonObject = {
                "version": facts.version,
                "input": wanted.input,
                "keyId": call.caller.key_id,
            }
            digest = sha256(call.says).digest()
            return await self._queue(job, call, digest, len(wanted.lead_ids), request)

    async def replay_letters(self, call: Call, wanted: ReplayLetters) -> JobAccepted:
        """Have all letters replayed that the filter finds and nobody has replayed."""
        job = self._draw(call, "letters_replay", None)
        granted = call.caller.workflow_ids
        request: JsonObject = {
            "filter": wanted.model_dump(by_alias=True, exclude_none=True),
            "workflowIds": None if granted is None else [*sorted(granted)],
        }
        async with self._receive(job):
            return await self._queue(job, call, sha256(call.says).digest(), None, request)

    async def read(self, caller: Principal, job_id: str) -> JobView:
        """One job."""
        found = await self._store.read(caller.workspace, _id_of(job_id))
        if found is None or not _may_see(caller, found):
            raise not_found("There is no such job.")
        return found

    async def list_jobs(self, caller: Principal, wanted: JobFilter, asked: Asked) -> JobPage:
        """A page of jobs."""
        granted = None if caller.workflow_ids is None else sorted(caller.workflow_ids)
        found = await self._store.list_jobs(caller.workspace, granted, wanted, asked)
        items, cursor = cut_page(found, asked.limit, lambda each: each.place)
        return JobPage(items=[each.view for each in items], next_cursor=cursor)

    async def list_faults(self, caller: Principal, job_id: str, asked: Asked) -> FaultPage:
        """A page of a job's faults."""
        job, after = await self.read(caller, job_id), _read_place(asked)
        found = await self._store.list_faults(caller.workspace, UUID(job.job_id), after, asked)
        items = found[: asked.limit]
        more = _write_place(items[-1][0]) if len(found) > asked.limit else None
        return FaultPage(items=[fault for _, fault in items], next_cursor=more)

    async def list_runs(self, caller: Principal, job_id: str, asked: Asked) -> JobRunPage:
        """A page of the runs that a job has started."""
        job = await self.read(caller, job_id)
        found = await self._store.list_started(caller.workspace, UUID(job.job_id), asked)
        started, cursor = cut_page(found, asked.limit, lambda each: Cursor(START.at, str(each[0])))
        stem, name = UUID(job.job_id).bytes[:STEM_BYTES], self._launcher.issuer.name
        items = []
        for line, lead_id in started:
            run_id = name("run", caller.workspace, derive_stem(stem, lead_id))
            items.append(
                JobRun(line=line, lead_id=lead_id, run_id=run_id, status_url=RUN_PATH + run_id)
            )
        return JobRunPage(items=items, next_cursor=cursor)

    async def cancel(self, caller: Principal, job_id: str) -> JobView:
        """End a job; what was done stays done."""
        job = await self.read(caller, job_id)
        ended = await self._store.cancel(origin_of(caller), UUID(job.job_id))
        job = await self.read(caller, job_id)
        if not ended and job.status != "cancelled":
            raise conflict(f"The job has {job.status}.")
        return job

    def _draw(self, call: Call, kind: JobKind, workflow_id: str | None) -> Job:
        if call.key is not None:
            check_key(call.key)
        workspace = call.caller.workspace
        job_id = self._launcher.issuer.name("job", workspace, new_stem())
        now = datetime.now(UTC)
        return Job(
            job_id, workspace, kind, workflow_id, {}, call.caller.name, now, "", call.traceparent
        )

    @asynccontextmanager
    async def _receive(self, job: Job) -> AsyncIterator[None]:
        """A job that is not queued in the end leaves nothing behind."""
        if not await self._store.open(job):
            text = f"A workspace may have {MOST_OPEN} jobs that have not ended: wait for some."
            raise conflict(text)
        try:
            yield
        except BaseException:
            with suppress(DatabaseUnavailable):
                await asyncio.shield(self._store.drop(job))
            raise

    async def _queue(
        self, job: Job, call: Call, digest: bytes, total: int | None, request: JsonObject
    ) -> JobAccepted:
        try:
            first = await self._store.queue(
                job, call.key, digest, total, request, LASTS, origin_of(call.caller)
            )
        except TimeoutError as error:
            raise slow() from error
        if first.id != job.id:
            await self._store.drop(job)
        if first.body_hash != digest:
            text = "another call was made with this key already: use a new key for a new call"
            raise invalid([Fault(text, parameter="Idempotency-Key")])
        self._wake()
        return JobAccepted(job_id=first.id, status_url=JOB_PATH + first.id)


def _may_see(caller: Principal, job: JobView) -> bool:
    return job.workflow_id is None or caller.may_use(job.workflow_id)


def _id_of(job_id: str) -> UUID:
    try:
        return UUID(job_id)
    except ValueError:
        raise not_found("There is no such job.") from None


def _write_place(place: tuple[int, int]) -> str:
    return urlsafe_b64encode(b"%d/%d" % place).decode().rstrip("=")


def _read_place(asked: Asked) -> tuple[int, int]:
    text = asked.cursor
    if text is None:
        return (_LAST_LINE, 0) if asked.is_backwards else (-1, -1)
    try:
        line, number = urlsafe_b64decode(text + "=" * (-len(text) % 4)).split(b"/")
        place = int(line), int(number)
    except ValueError as error:
        raise _not_a_cursor() from error
    if max(map(abs, place)) > _LAST_LINE:
        raise _not_a_cursor()
    return place


def _not_a_cursor() -> Problem:
    text = "is not a cursor of this list: pass nextCursor on as it is"
    return invalid([Fault(text, parameter="cursor")])
