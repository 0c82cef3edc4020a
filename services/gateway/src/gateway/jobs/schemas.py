"""The bodies of the calls of jobs."""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from mirsal_contracts.message import JsonObject
from pydantic import Field

from gateway.shapes import Answer, Identifier, Question

MOST_LEADS = 20_000

JobKind: TypeAlias = Literal["leads_import", "runs_start", "letters_replay"]
JobStatus: TypeAlias = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class StartRuns(Question):
    """Start the workflow's newest version for many leads, as a job."""

    lead_ids: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=MOST_LEADS)]
    input: JsonObject = Field(
        default_factory=dict, description="Templates read it as {{run.input.*}}; 512 KiB at most."
    )


class ReplayLetters(Question):
    """Which dead letters to replay, of those that were not replayed yet; what is left out asks
    for all."""

    connector_type: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")] | None = None
    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")] | None = None
    workflow_id: Identifier | None = None
    lead_id: Identifier | None = None
    reason: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")] | None = None


class JobAccepted(Answer):
    """Accepted: the job is stored, and some gateway will work it off."""

    job_id: str
    status: str = "queued"
    status_url: str


class JobView(Answer):
    """A job. `done` counts what was dealt with, the `failed` included; `total` is null where it is
    not known. `created`: leads that are new, runs or replays that were asked for."""

    job_id: str
    kind: JobKind
    status: JobStatus
    workflow_id: str | None
    total: int | None
    done: int
    failed: int
    created: int
    updated: int
    error: JsonObject | None
    created_by: str
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    ended_at: datetime | None


class JobPage(Answer):
    """A page of jobs, oldest first."""

    items: list[JobView]
    next_cursor: str | None


class JobFault(Answer):
    """One thing that is wrong: in which line (the number of the lead, for a start), and where."""

    line: int
    pointer: str
    message: str


class JobRun(Answer):
    """A run that a job started; `line` is the number of its lead."""

    line: int
    lead_id: str
    run_id: str
    status_url: str


class JobRunPage(Answer):
    """A page of a job's runs, in the order of its leads."""

    items: list[JobRun]
    next_cursor: str | None


class FaultPage(Answer):
    """A page of a job's faults, in the order of their lines."""

    items: list[JobFault]
    next_cursor: str | None
