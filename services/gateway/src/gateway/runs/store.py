"""What starting a run reads and remembers, and the orchestrator's view of runs."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import asyncpg
from mirsal_contracts.leads import HIDDEN, Lead, Sealed
from mirsal_contracts.message import JsonObject
from mirsal_runtime.queries import load_queries

from gateway.executions.schemas import ExecutionView
from gateway.executions.store import open_views, view_of
from gateway.issued_ids import FRESH_SECONDS, same_moment
from gateway.leads.opening import Opener
from gateway.runs.schemas import RunRequester, RunView
from gateway.store import Database

_SQL = load_queries("gateway.runs")
_LOG = "log_"
KEPT = timedelta(hours=48)
"""An idempotency key is remembered for at least this long after its last use."""
FORGET_ROWS = 5_000


class StartQuestion(NamedTuple):
    """Which workflow is to start, for whom."""

    workspace: str
    workflow_id: str
    lead_ids: tuple[str, ...]


class StartFacts(NamedTuple):
    """What is known: no version for no workflow; None for each lead that does not exist."""

    version: int | None
    leads: list[Lead | None]
    is_active: bool


class Claim(NamedTuple):
    """An idempotency key with what the call says, and the id that it gets if it is the first."""

    workspace: str
    route: str
    key: str
    body_hash: bytes
    id: UUID


class StartStore:
    """The tables that starting needs; its methods take many calls' questions at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_starts(self, questions: Sequence[StartQuestion]) -> list[StartFacts]:
        """The facts for each question. One without leads learns of the workflow alone."""
        asked = [
            (number, question, lead_id)
            for number, question in enumerate(questions)
            for lead_id in question.lead_ids or ("",)
        ]
        rows = await self._database.fetch_everywhere(
            _SQL["find_starts"],
            [number for number, _, _ in asked],
            [question.workspace for _, question, _ in asked],
            [question.workflow_id for _, question, _ in asked],
            [lead_id for _, _, lead_id in asked],
        )
        workflows = {row["n"]: (row["version"], bool(row["is_active"])) for row in rows}
        leads = {(row["n"], row["lead_id"]): row for row in rows}
        return [
            StartFacts(
                version,
                [_lead_of(leads.get((number, lead_id))) for lead_id in question.lead_ids],
                is_active,
            )
            for number, question in enumerate(questions)
            for version, is_active in (workflows[number],)
        ]

    async def claim(self, claims: Sequence[Claim]) -> list[Claim]:
        """For each claim the one that came first with its key: maybe itself."""
        first: dict[tuple[str, ...], Claim] = {}
        for claim in claims:
            first.setdefault(claim[:3], claim)
        rows = await self._database.fetch_everywhere(
            _SQL["claim_keys"], *(list(column) for column in zip(*first.values(), strict=True))
        )
        found = {
            (row["workspace"], row["route"], row["key"]): Claim(
                row["workspace"], row["route"], row["key"], row["body_hash"], UUID(str(row["id"]))
            )
            for row in rows
        }
        return [found[claim[:3]] for claim in claims]

    async def find_claim(self, workspace: str, route: str, key: str) -> Claim | None:
        """The claim that came first with this key."""
        row = await self._database.fetch_row_in(
            workspace, _SQL["find_claim"], workspace, route, key
        )
        if row is None:
            return None
        return Claim(workspace, route, key, row["body_hash"], UUID(str(row["id"])))

    async def was_handed_out(self, workspace: str, stem: bytes) -> bool:
        """Whether a repeated call was given an id of this stem's moment lately."""
        lowest, highest = same_moment(stem)
        row = await self._database.fetch_row_in(
            workspace,
            _SQL["was_handed_out"],
            workspace,
            lowest,
            highest,
            timedelta(seconds=FRESH_SECONDS),
        )
        return row is not None

    async def forget_keys(self) -> bool:
        """Remove idempotency keys that nobody used for `KEPT`; whether there may be more."""
        rows = await self._database.fetch_everywhere(_SQL["forget_keys"], KEPT, FORGET_ROWS)
        return len(rows) == FORGET_ROWS


class RevisedRun(NamedTuple):
    """A run, and how often it was written; 0 while it is on its way."""

    revision: int
    view: RunView


class UnderWay(NamedTuple):
    """How many runs of each workspace are under way, and how often the rows of those that were
    asked for were written, if they have one."""

    counts: dict[str, int]
    revisions: dict[str, int]


class RunStore:
    """Runs as the orchestrator publishes them."""

    def __init__(self, database: Database, opener: Opener) -> None:
        self._database = database
        self._opener = opener

    async def read(self, workspace: str, run_id: str) -> RevisedRun | None:
        """A run with its executions; None for an id that is no UUID, too."""
        try:
            parsed = UUID(run_id)
        except ValueError:
            return None
        rows = await self._database.fetch_in(workspace, _SQL["read_run"], parsed, workspace)
        if not rows:
            return None
        run = {name: value for name, value in rows[0].items() if not name.startswith(_LOG)}
        executions = await open_views(
            self._opener,
            workspace,
            [_execution(row) for row in rows if row["log_execution_id"] is not None],
        )
        run["error"] = _told(run["error"], executions)
        revision = run.pop("revision")
        view = RunView(
            **{
                **run,
                "run_id": str(run["run_id"]),
                "trace_id": run["trace_id"] or None,
                "requested_by": _requester_in(run["requested_by"]),
                "executions": executions,
            }
        )
        return RevisedRun(revision, view)

    async def count_under_way(self, run_ids: Iterable[str]) -> UnderWay:
        """The runs of all workspaces that something is yet to be done for without a person."""
        asked = list(map(UUID, run_ids))
        counts, revisions = {}, {}
        for row in await self._database.fetch_everywhere(_SQL["count_under_way"], asked):
            if row["run_id"] is None:
                counts[row["workspace"]] = row["number"]
            else:
                revisions[str(row["run_id"])] = row["number"]
        return UnderWay(counts, revisions)


def _requester_in(text: str | None) -> RunRequester | None:
    return None if text is None else RunRequester.model_validate_json(text)


def _told(error: JsonObject | None, executions: Iterable[ExecutionView]) -> JsonObject | None:
    """Why the run failed or rests; words that are kept sealed are those of its execution."""
    if error is None or error.get("message") != HIDDEN:
        return error
    node_id = error.get("nodeId")
    words = [each.error for each in executions if each.node_id == node_id and each.error]
    return {**words[0], **{"code": error.get("code"), "nodeId": node_id}} if words else error


def _execution(row: asyncpg.Record) -> ExecutionView:
    log = {name.removeprefix(_LOG): value for name, value in row.items() if name.startswith(_LOG)}
    shared = {name: row[name] for name in ("run_id", "workflow_id", "lead_id")}
    return view_of({**shared, **log})


def _lead_of(row: asyncpg.Record | None) -> Lead | None:
    """The lead as messages carry it; one that is sealed stays so."""
    if row is None:
        return None
    if row["sealed"] is not None:
        sealed = Sealed(key=str(row["key_id"]), text=row["sealed"])
        return Lead(id=row["lead_id"], sealed=sealed)
    return Lead.model_validate(
        {
            "id": row["lead_id"],
            "name": row["name"],
            "email": row["email"],
            "phone": row["phone"],
            "locale": row["locale"],
            "time_zone": row["time_zone"],
            "tags": row["tags"],
            "fields": row["fields"],
            "consent": row["consent"],
        }
    )
