"""Starting workflows, and reading what became of a run."""

import asyncio
from uuid import UUID

import orjson
from mirsal_contracts.leads import Lead
from mirsal_contracts.message import JsonObject
from mirsal_runtime import telemetry
from mirsal_runtime.batching import Batcher

from gateway.audit.entries import Action, Entry
from gateway.audit.origins import origin_of
from gateway.audit.trail import Trail
from gateway.auth.schemas import Principal
from gateway.bodies import Json, fit
from gateway.issued_ids import is_fresh
from gateway.pointers import join
from gateway.problems import (
    Fault,
    Problem,
    access_denied,
    conflict,
    invalid,
    not_found,
    too_large,
)
from gateway.runs.launch import Call, Deadlines, Launcher, Order
from gateway.runs.schemas import (
    INPUT_BYTES,
    RESTING_RUNS,
    RunsStarted,
    RunStarted,
    RunView,
    StartRun,
)
from gateway.runs.store import RevisedRun, RunStore, StartFacts, StartQuestion, StartStore
from gateway.store import DatabaseUnavailable
from gateway.watching.lookout import Lookout
from gateway.watching.store import Sight, Subject
from gateway.workflows.graphs import GraphShelf
from gateway.workflows.store import VersionKey

RUN_PATH = "/api/automation/run/"


class FactFinder:
    """Reads what starts need, many calls' questions in one statement."""

    def __init__(self, store: StartStore) -> None:
        self._store = store
        self._single: Batcher[StartQuestion, StartFacts] = Batcher(store.find_starts, parallel=2)

    async def find(self, question: StartQuestion) -> StartFacts:
        """The facts. Raises `DatabaseUnavailable`."""
        if len(question.lead_ids) > 1:
            # A thousand leads would make everybody wait who shares the statement.
            return (await self._store.find_starts([question]))[0]
        return await self._single.submit(question)


class Starts:
    """Starts runs of workflows. Raises `Problem` and `DatabaseUnavailable`."""

    def __init__(
        self, finder: FactFinder, graphs: GraphShelf, launcher: Launcher, trail: Trail
    ) -> None:
        self._finder = finder
        self._graphs = graphs
        self._launcher = launcher
        self._trail = trail

    async def start(
        self, call: Call, workflow_id: str, body: Json | Problem
    ) -> RunStarted | RunsStarted:
        """Start the newest version for the leads that the body names.

        A call that starts several runs is recorded; one that starts one is told of by its run.
        """
        deadlines = Deadlines.from_now()
        try:
            async with asyncio.timeout_at(deadlines.read):
                wanted, version, leads = await self._resolve(call.caller, workflow_id, body)
                key = VersionKey(call.caller.workspace, workflow_id, version)
                known = await self._graphs.find(key)
                stem = await self._launcher.stem_for(call, wanted.lead_ids or ())
        except TimeoutError as error:
            raise DatabaseUnavailable("PostgreSQL did not answer in time") from error
        run_ids = self._launcher.name_runs(call.caller.workspace, stem, wanted.lead_ids or ())
        orders = [
            Order(each, workflow_id, version, known.graph, lead, wanted.input)
            for each, lead in zip(run_ids, leads, strict=True)
        ]
        if len(orders) > 1:
            told: JsonObject = {"version": version, "runs": len(orders)}
            entry = Entry(origin_of(call.caller), Action.RUNS_STARTED, workflow_id, None, told)
            await self._trail.record(entry, until=deadlines.answer)
        if wanted.lead_ids:
            # One trace a run: a thousand runs in the caller's own trace are of no use.
            traces = [telemetry.new_traceparent() for _ in orders]
            await self._launcher.launch(
                call, orders, traces, until=deadlines.answer, ids={"runIds": [*run_ids]}
            )
            return RunsStarted(run_ids=run_ids)
        await self._launcher.launch(
            call, orders, [call.traceparent], until=deadlines.answer, ids={"runId": run_ids[0]}
        )
        return RunStarted(run_id=run_ids[0], status_url=RUN_PATH + run_ids[0])

    async def _resolve(
        self, caller: Principal, workflow_id: str, body: Json | Problem
    ) -> tuple[StartRun, int, list[Lead]]:
        """What the body names, checked in the order 403, 422, 404."""
        wanted = fit(StartRun, body)
        lead_ids: tuple[str, ...] = ()
        if isinstance(wanted, StartRun):
            lead_ids = wanted.lead_ids or (wanted.lead_id or "",)
        question = StartQuestion(caller.workspace, workflow_id, lead_ids)
        facts = await self._finder.find(question)
        if facts.version is None:
            raise access_denied()
        if isinstance(wanted, Problem):
            raise wanted
        refuse_large(wanted.input, body)
        refuse_repeated(lead_ids)
        leads = [lead for lead in facts.leads if lead is not None]
        if len(leads) < len(lead_ids):
            raise not_found("There is no such lead.", _missing_leads(wanted, facts))
        require_active(facts)
        return wanted, facts.version, leads


class Runs:
    """Reads runs. Raises `Problem` and `DatabaseUnavailable`."""

    def __init__(
        self, launcher: Launcher, store: RunStore, starts: StartStore, lookout: Lookout
    ) -> None:
        self._issuer = launcher.issuer
        self._store = store
        self._starts = starts
        self.lookout = lookout

    async def read(self, caller: Principal, run_id: str) -> RunView:
        """The run; `queued` if it was issued so lately that its row is still on its way."""
        return (await self.read_revised(caller, run_id)).view

    async def read_revised(self, caller: Principal, run_id: str) -> RevisedRun:
        """The run as `read` gives it, and its revision."""
        found = await self._store.read(caller.workspace, run_id)
        if found is not None:
            if not caller.may_use(found.view.workflow_id or ""):
                raise not_found("There is no such run.")
            return found
        stem = self._issuer.stem_of("run", caller.workspace, run_id)
        if stem is not None and (
            is_fresh(stem) or await self._starts.was_handed_out(caller.workspace, stem)
        ):
            return RevisedRun(0, RunView(run_id=str(UUID(run_id))))
        raise not_found("There is no such run.")

    async def read_within(self, caller: Principal, run_id: str, seconds: float) -> RunView:
        """The run once nothing follows by itself, or as it is after so many seconds.

        Raises `NoPlace` when too many wait already.
        """
        view = await self.read(caller, run_id)
        if view.status in RESTING_RUNS:
            return view
        with self.lookout.take_place():
            await self.lookout.wait(Subject("run", view.run_id), _rests, seconds)
        return await self.read(caller, run_id)


def _rests(sight: Sight) -> bool:
    return sight.status in RESTING_RUNS


def refuse_large(given: JsonObject, body: Json | Problem) -> None:
    """413 for an input that is too large; only a large body needs a closer look."""
    if isinstance(body, Json) and len(body.canonical) <= INPUT_BYTES:
        return
    if len(orjson.dumps(given)) > INPUT_BYTES:
        raise too_large(f"input may have at most {INPUT_BYTES:,} bytes.")


def refuse_repeated(lead_ids: tuple[str, ...]) -> None:
    """422 for a lead that is named twice."""
    if len(set(lead_ids)) == len(lead_ids):
        return
    seen: set[str] = set()
    for index, lead_id in enumerate(lead_ids):
        if lead_id in seen:
            raise invalid([Fault("is in the list already", join("/leadIds", index))])
        seen.add(lead_id)


def require_active(facts: StartFacts) -> None:
    """409 for a workflow that was deactivated."""
    if not facts.is_active:
        raise conflict("The workflow is not active: activate it to have it started.")


def _missing_leads(wanted: StartRun, facts: StartFacts) -> list[Fault]:
    text = "there is no such lead"
    if not wanted.lead_ids:
        return [Fault(text, "/leadId")]
    missing = [index for index, lead in enumerate(facts.leads) if lead is None]
    return [Fault(text, join("/leadIds", index)) for index in missing[:50]]
