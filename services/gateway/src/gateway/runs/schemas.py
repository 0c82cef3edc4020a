"""The bodies of the run calls."""

from datetime import datetime
from typing import Annotated, Final, Self

from mirsal_contracts.message import JsonObject
from pydantic import Field, model_validator

from gateway.executions.schemas import ExecutionView
from gateway.shapes import Answer, Identifier, Question

FINAL_RUNS: Final = frozenset({"succeeded", "failed", "cancelled"})
RESTING_RUNS: Final = FINAL_RUNS | {"paused", "unconfirmed"}
"""Nothing follows by itself: it is over, or a person must act."""
MOST_LEADS = 1_000
INPUT_BYTES = 512 * 1024


class StartRun(Question):
    """Start the workflow's newest version: give `leadId`, or `leadIds` for up to 1,000."""

    lead_id: Identifier | None = None
    lead_ids: (
        Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=MOST_LEADS)] | None
    ) = None
    input: JsonObject = Field(
        default_factory=dict, description="Templates read it as {{run.input.*}}; 512 KiB at most."
    )

    @model_validator(mode="after")
    def _names_leads_once(self) -> Self:
        if (self.lead_id is None) == (self.lead_ids is None):
            raise ValueError("give leadId, or leadIds, and not both")
        return self


class RunStarted(Answer):
    """Accepted: Kafka has it."""

    run_id: str
    status: str = "queued"
    status_url: str


class RunsStarted(Answer):
    """Accepted, one run for each of `leadIds`, in their order."""

    run_ids: list[str]
    status: str = "queued"


class RunChange(Answer):
    """A run as it is now, without its executions. `revision` grows with each change."""

    run_id: str
    workflow_id: str
    version: int
    lead_id: str
    status: str
    revision: int
    error: JsonObject | None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None


class RunRequester(Answer):
    """Who started a run. `id` is the API key's id, or `jwt:` and the token's subject."""

    kind: str
    id: str
    name: str


class RunView(Answer):
    """A run with its executions, oldest first.

    Between the 202 and its first row a run reads `queued`, and null where nothing is known yet.
    `version` is 0 for a direct call of one connector. `requestedBy` is null for runs that were
    started before anybody noted it.
    """

    run_id: str
    workflow_id: str | None = None
    version: int | None = None
    lead_id: str | None = None
    status: str = "queued"
    executions: list[ExecutionView] = Field(default_factory=list)
    error: JsonObject | None = None
    trace_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    ended_at: datetime | None = None
    requested_by: RunRequester | None = None
