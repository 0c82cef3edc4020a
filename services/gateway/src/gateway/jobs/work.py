"""What jobs do, one step at a time. A step that is done twice changes nothing more: leads are saved
as they are, and ids of runs and replays follow from the job's."""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol
from uuid import UUID

import orjson
from mirsal_contracts.leads import Lead
from mirsal_contracts.message import JsonObject
from mirsal_runtime import telemetry

from gateway.auth.schemas import Principal
from gateway.issued_ids import STEM_BYTES
from gateway.jobs.schemas import JobFault, JobKind, ReplayLetters
from gateway.jobs.store import Job, JobStore, Step
from gateway.leads.bulk import CsvReader, NdjsonReader, Reader
from gateway.leads.service import Leads
from gateway.letters.service import Letters
from gateway.letters.store import LetterFilter
from gateway.paging import Asked
from gateway.problems import Problem
from gateway.runs.launch import ANSWER_SECONDS, Call, Launcher, Order
from gateway.runs.store import StartQuestion, StartStore
from gateway.workflows.graphs import GraphShelf
from gateway.workflows.store import VersionKey

CSV: Final = "text/csv"
REPLAYS_A_STEP: Final = 100
TOO_LARGE: Final = 413


class Work(Protocol):
    """One kind of jobs."""

    async def take_step(self, job: Job) -> Step:
        """Do what follows on the job's place. Raises `DatabaseUnavailable`, and a 503 `Problem`,
        where it may be done again."""


class ImportLeads:
    """Saves the leads of the next part."""

    def __init__(self, store: JobStore, leads: Leads) -> None:
        self._store = store
        self._leads = leads

    async def take_step(self, job: Job) -> Step:
        """As `Work.take_step`."""
        number = int(job.place or 0)
        part = await self._store.read_part(job, number)
        if part is None:
            return Step(job.place, is_last=True)
        reader = _reader_of(job.request, part.first - 1)
        tally = await self._leads.import_part(caller_of_job(job), reader, part.body, UUID(job.id))
        return Step(
            str(number + 1),
            is_last=False,
            part=number,
            done=tally.received,
            failed=tally.failed,
            created=tally.created,
            updated=tally.updated,
            faults=[JobFault(**dict(each)) for each in tally.faults],
        )


def _reader_of(request: JsonObject, before: int) -> Reader:
    header = request.get("header")
    if request["mediaType"] != CSV:
        return NdjsonReader(before)
    return CsvReader([str(each) for each in header] if isinstance(header, list) else [], before)


class StartRuns:
    """Starts the runs of the next part's leads, or of as many of them as there is room for."""

    def __init__(
        self, store: JobStore, starts: StartStore, graphs: GraphShelf, launcher: Launcher
    ) -> None:
        self._store = store
        self._starts = starts
        self._graphs = graphs
        self._launcher = launcher

    async def take_step(self, job: Job) -> Step:
        """As `Work.take_step`."""
        number, offset = _read_place(job.place)
        part = await self._store.read_part(job, number)
        if part is None:
            return Step(job.place, is_last=True)
        left: list[str] = orjson.loads(part.body)[offset:]
        lead_ids = left[: await self._take_places(job, left)]
        if not lead_ids:
            return Step(job.place, is_last=False, waits=True)
        first, is_done = part.first + offset, len(lead_ids) == len(left)
        question = StartQuestion(job.workspace, job.workflow_id or "", tuple(lead_ids))
        (facts,) = await self._starts.find_starts([question])
        leads = list(enumerate(facts.leads, first))
        missing = [index for index, lead in leads if lead is None]
        self._give_back(job, [lead_ids[index - first] for index in missing])
        faults = [_fault(index, "there is no such lead") for index in missing]
        faults += await self._start(job, [(n, lead) for n, lead in leads if lead is not None])
        return Step(
            str(number + 1) if is_done else f"{number}/{offset + len(lead_ids)}",
            is_last=False,
            part=number if is_done else -1,
            done=len(lead_ids),
            failed=len(faults),
            created=len(lead_ids) - len(faults),
            faults=faults,
        )

    async def _take_places(self, job: Job, lead_ids: Sequence[str]) -> int:
        """How many of the leads' runs the workspace may have under way now."""
        if not self._launcher.bound.covers(job.workspace):
            return len(lead_ids)
        return await self._launcher.bound.take(job.workspace, self._name_runs(job, lead_ids))

    def _give_back(self, job: Job, lead_ids: Sequence[str]) -> None:
        if lead_ids:
            self._launcher.bound.give_back(job.workspace, self._name_runs(job, lead_ids))

    def _name_runs(self, job: Job, lead_ids: Sequence[str]) -> list[str]:
        stem = UUID(job.id).bytes[:STEM_BYTES]
        return self._launcher.name_runs(job.workspace, stem, lead_ids)

    async def _start(self, job: Job, leads: Sequence[tuple[int, Lead]]) -> list[JobFault]:
        """Start all, or where some are too large those that can be; what is wrong with them."""
        try:
            await self._launch(job, [lead for _, lead in leads])
        except Problem as problem:
            if problem.status != TOO_LARGE:
                raise
            if len(leads) == 1:
                return [_fault(leads[0][0], problem.detail)]
            middle = len(leads) // 2
            return [
                *await self._start(job, leads[:middle]),
                *await self._start(job, leads[middle:]),
            ]
        return []

    async def _launch(self, job: Job, leads: Sequence[Lead]) -> None:
        if not leads:
            return
        version, given = job.request["version"], await self._store.open_input(job)
        if not isinstance(version, int) or job.workflow_id is None:
            raise TypeError("the job does not say what it starts")
        known = await self._graphs.find(VersionKey(job.workspace, job.workflow_id, version))
        run_ids = self._name_runs(job, [lead.id for lead in leads])
        orders = [
            Order(run_id, job.workflow_id, version, known.graph, lead, given)
            for run_id, lead in zip(run_ids, leads, strict=True)
        ]
        until = asyncio.get_running_loop().time() + ANSWER_SECONDS
        traces = [telemetry.new_traceparent() for _ in orders]
        await self._launcher.launch(call_of_job(job), orders, traces, until=until, ids={})


def _read_place(place: str) -> tuple[int, int]:
    """The number of the part that is next, and how many of its leads are done with."""
    number, _, offset = place.partition("/")
    return int(number or 0), int(offset or 0)


class ReplayAll:
    """Has the next letters replayed."""

    def __init__(self, letters: Letters) -> None:
        self._letters = letters

    async def take_step(self, job: Job) -> Step:
        """As `Work.take_step`."""
        wanted = ReplayLetters.model_validate(job.request["filter"], by_alias=True)
        granted = job.request.get("workflowIds")
        caller = caller_of_job(job)._replace(
            workflow_ids=frozenset(map(str, granted)) if isinstance(granted, list) else None
        )
        # What dies from now on is another call's.
        asked = LetterFilter(**dict(wanted), is_replayed=False)
        page_asked = Asked(REPLAYS_A_STEP, job.place or None, until=job.created_at)
        call = call_of_job(job)._replace(caller=caller)
        stem = UUID(job.id).bytes[:STEM_BYTES]
        page = await self._letters.replay_page(call, asked, page_asked, stem)
        return Step(
            page.place or job.place,
            is_last=page.place is None,
            done=page.seen,
            failed=page.seen - page.asked,
            created=page.asked,
        )


def caller_of_job(job: Job) -> Principal:
    """Who the job acts for. Jobs of earlier releases know the name alone."""
    key_id = str(job.request.get("keyId", ""))
    return Principal(key_id=key_id, name=job.created_by, workspace=job.workspace)


def call_of_job(job: Job) -> Call:
    """The job as a call: what it starts belongs to its step, or links to that."""
    return Call(caller_of_job(job), job.kind, None, b"", job.traceparent)


def _fault(index: int, message: str) -> JobFault:
    return JobFault(line=index + 1, pointer=f"/leadIds/{index}", message=message)


class Works(NamedTuple):
    """The kinds of jobs, under their names."""

    leads_import: Work
    runs_start: Work
    letters_replay: Work

    def of(self, kind: JobKind) -> Work:
        """Who does jobs of this kind."""
        match kind:
            case "leads_import":
                return self.leads_import
            case "runs_start":
                return self.runs_start
            case "letters_replay":
                return self.letters_replay
