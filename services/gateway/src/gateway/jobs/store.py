"""The tables of jobs."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
from mirsal_contracts.message import JsonObject
from mirsal_runtime.queries import load_queries

from gateway.audit.entries import Action, Entry, Origin
from gateway.audit.store import change
from gateway.jobs.schemas import JobFault, JobKind, JobView
from gateway.jobs.sealing import JobSealer, SealedBody
from gateway.paging import Asked, BothWays, Cursor
from gateway.store import Database, Everywhere

_SQL = load_queries("gateway.jobs")
_LIST_STARTED = BothWays.of(_SQL["list_started"])
_LIST, _LIST_FAULTS = BothWays.of(_SQL["list_jobs"]), BothWays.of(_SQL["list_faults"])
LEASE = timedelta(seconds=8)
RECEIVED_WITHIN = timedelta(minutes=15)
LASTS = timedelta(hours=1)
"""A job has so long, from its call or from when it last waited for room."""
ROOM_PAUSE = timedelta(seconds=2)
MOST_OPEN = 100
"""Jobs of a workspace that have not ended."""
KEPT = timedelta(days=7)
"""After its end; idempotency keys of jobs are remembered as long."""


class Job(NamedTuple):
    """A job that is being worked on. `place` is how far it is. `traceparent` is the context of the
    call that made it, or of the step under way."""

    id: str
    workspace: str
    kind: JobKind
    workflow_id: str | None
    request: JsonObject
    created_by: str
    created_at: datetime
    place: str
    traceparent: str = ""


class Part(NamedTuple):
    """A part of what a job has to do; `first` is the number of its first line or lead."""

    first: int
    body: bytes


class Step(NamedTuple):
    """What one step came to: the next place, and the counts and faults since the last.

    `part` is the number of the part that is done with, or -1. `waits`: there is no room for more,
    for which no job's time is over.
    """

    place: str
    is_last: bool
    part: int = -1
    done: int = 0
    failed: int = 0
    created: int = 0
    updated: int = 0
    faults: Sequence[JobFault] = ()
    waits: bool = False


class JobFilter(NamedTuple):
    """Which jobs are asked for; None takes all."""

    kind: str | None = None
    status: str | None = None


class JobEntry(NamedTuple):
    """A job with its place in the list."""

    place: Cursor
    view: JobView


class Earlier(NamedTuple):
    """The job of the first call with a key, maybe this one's."""

    id: str
    body_hash: bytes


class JobStore:
    """Raises `DatabaseUnavailable`. What an import brought and what runs are started with is sealed
    here, and opened again: as `JobSealer` where that cannot be."""

    def __init__(self, database: Database, sealer: JobSealer) -> None:
        self._database = database
        self._sealer = sealer

    async def open(self, job: Job) -> bool:
        """Begin a job, which nobody sees or works on before it is queued; False where the workspace
        has `MOST_OPEN`, or a few more if calls came at the same moment."""
        row = await self._database.fetch_row_in(
            job.workspace,
            _SQL["open_job"],
            job.id, job.workspace, job.kind, job.workflow_id, job.request, job.created_by,
            RECEIVED_WITHIN, MOST_OPEN, job.traceparent,
        )  # fmt: skip
        return row is not None

    async def add_part(self, job: Job, number: int, part: Part) -> None:
        """Store the next part of what is to be done."""
        stored = SealedBody(part.body)
        # The leads of a job of starts are ids, which say nothing of people; its list reads them.
        if job.kind == "leads_import":
            stored = await self._sealer.seal_part(job.workspace, job.id, number, part.body)
        await self._database.fetch_in(
            job.workspace, _SQL["add_part"], job.workspace, job.id, number, part.first, *stored
        )

    async def queue(
        self,
        job: Job,
        key: str | None,
        body_hash: bytes,
        total: int | None,
        request: JsonObject,
        lasts: timedelta,
        origin: Origin,
    ) -> Earlier:
        """Have the job worked off, unless an earlier call with this key has had one queued."""
        sealed = await self._sealer.seal_request(job.workspace, job.id, request)
        values = (job.workspace, job.id, job.kind, key, body_hash, total, sealed, lasts)
        told: JsonObject = {"kind": job.kind, "workflowId": job.workflow_id, "total": total}
        if job.kind == "leads_import":
            told["sha256"] = body_hash.hex()
        entry = Entry(origin, Action.JOB_QUEUED, job.id, None, told)

        def describe(rows: Sequence[asyncpg.Record]) -> Entry | None:
            return entry if [str(row["id"]) for row in rows] == [job.id] else None

        try:
            rows = await change(self._database, job.workspace, describe, _SQL["queue_job"], *values)
        except asyncpg.UniqueViolationError:
            # Another call with this key came first, a moment ago.
            rows = await change(self._database, job.workspace, describe, _SQL["queue_job"], *values)
        if not rows:
            raise TimeoutError("the job was not received in time")
        return Earlier(str(rows[0]["id"]), rows[0]["body_hash"])

    async def drop(self, job: Job) -> None:
        """Forget a job that was not queued."""
        await self._database.fetch_in(job.workspace, _SQL["drop_job"], job.workspace, job.id)

    async def read(self, workspace: str, job_id: UUID) -> JobView | None:
        """One job."""
        row = await self._database.fetch_row_in(workspace, _SQL["read_job"], workspace, job_id)
        return None if row is None else _view(row)

    async def list_jobs(
        self,
        workspace: str,
        granted: Sequence[str] | None,
        wanted: JobFilter,
        asked: Asked,
    ) -> list[JobEntry]:
        """A page of jobs, and one more."""
        rows = await self._database.fetch_in(
            workspace,
            _LIST.for_page(asked),
            workspace, *asked.place, granted, *wanted, asked.since, asked.until,
            asked.limit + 1,
        )  # fmt: skip
        return [JobEntry(Cursor(row["created_at"], str(row["id"])), _view(row)) for row in rows]

    async def list_faults(
        self, workspace: str, job_id: UUID, after: tuple[int, int], asked: Asked
    ) -> list[tuple[tuple[int, int], JobFault]]:
        """A page of faults after a place, each with its own, and one more."""
        statement = _LIST_FAULTS.for_page(asked)
        rows = await self._database.fetch_in(
            workspace, statement, workspace, job_id, *after, asked.limit + 1
        )
        return [
            (
                (row["line"], row["number"]),
                JobFault(line=row["line"], pointer=row["pointer"], message=row["message"]),
            )
            for row in rows
        ]

    async def list_started(
        self, workspace: str, job_id: UUID, asked: Asked
    ) -> list[tuple[int, str]]:
        """A page of the leads whose runs a job has started, with their lines, and one more."""
        statement = _LIST_STARTED.for_page(asked)
        rows = await self._database.fetch_in(
            workspace, statement, workspace, job_id, asked.number, asked.limit + 1
        )
        return [(row["line"], row["lead_id"]) for row in rows]

    async def cancel(self, origin: Origin, job_id: UUID) -> bool:
        """End a job that has not ended; whether there was one."""
        entry = Entry(origin, Action.JOB_CANCELLED, str(job_id))
        rows = await change(
            self._database,
            origin.workspace,
            lambda rows: entry if rows else None,
            _SQL["cancel_job"],
            origin.workspace,
            job_id,
        )
        return bool(rows)

    async def lease(self, lease: UUID) -> Job | None:
        """A job that waits, for whoever has this lease alone and for some seconds."""
        row = await self._database.fetch_row_in(Everywhere.ALL, _SQL["lease_job"], lease, LEASE)
        if row is None:
            return None
        return Job(**{**row, "id": str(row["id"])})

    async def read_part(self, job: Job, number: int) -> Part | None:
        """The part of this number, if it is not done with."""
        row = await self._database.fetch_row_in(
            job.workspace, _SQL["read_part"], job.workspace, job.id, number
        )
        if row is None:
            return None
        stored = SealedBody(row["body"], row["data_key"])
        body = await self._sealer.open_part(job.workspace, job.id, number, stored)
        return Part(row["first"], body)

    async def open_input(self, job: Job) -> JsonObject:
        """What a job of starts gives each run."""
        return await self._sealer.open_input(job.workspace, job.id, job.request)

    async def advance(self, job: Job, lease: UUID, step: Step) -> bool:
        """Write down a step; False if the job is not this lease's any more, or was there before."""
        faults = step.faults
        row = await self._database.fetch_row_in(
            job.workspace,
            _SQL["advance_job"],
            job.workspace, job.id, lease, job.place, step.place, step.done, step.failed,
            step.created, step.updated, LEASE, step.is_last,
            [each.line for each in faults],
            list(range(len(faults))),
            [each.pointer for each in faults],
            [each.message for each in faults],
            step.part,
        )  # fmt: skip
        return row is not None

    async def release(self, job: Job, lease: UUID) -> None:
        """Let others go on with it."""
        await self._database.fetch_in(
            job.workspace, _SQL["release_job"], job.workspace, job.id, lease
        )

    async def postpone(self, job: Job, lease: UUID) -> None:
        """Have it go on in `ROOM_PAUSE`, or later if it has waited long; others have turns."""
        await self._database.fetch_in(
            job.workspace, _SQL["postpone_job"], job.workspace, job.id, lease, ROOM_PAUSE, LASTS
        )

    async def fail(self, job: Job, lease: UUID, error: JsonObject) -> None:
        """End it as failed."""
        await self._database.fetch_in(
            job.workspace, _SQL["fail_job"], job.workspace, job.id, lease, error
        )

    async def tidy(self, late: JsonObject) -> None:
        """End jobs whose time is over, for the reason `late`, and forget what nobody needs."""
        await self._database.fetch_everywhere(_SQL["expire_jobs"], late)
        await self._database.fetch_everywhere(_SQL["forget_parts"])
        await self._database.fetch_everywhere(_SQL["forget_omissions"])
        await self._database.fetch_everywhere(_SQL["forget_jobs"], KEPT)


def _view(row: asyncpg.Record) -> JobView:
    members: dict[str, Any] = dict(row)
    return JobView(job_id=str(members.pop("id")), **members)
