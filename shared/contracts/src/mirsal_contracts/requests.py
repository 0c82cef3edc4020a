"""What the gateway asks for: `executions.requested.v1`."""

from datetime import datetime
from typing import ClassVar

from pydantic import Field

from mirsal_contracts.leads import Lead, Sealed
from mirsal_contracts.message import JsonObject, Message
from mirsal_contracts.workflows import Graph


class Requester(Message):
    """Who asked for a run: an API key, or who a token speaks for. Nothing that lets in.

    `kind` is `key` or `token`; `id` is the key's id, or `jwt:` and the token's subject.
    """

    kind: str
    id: str
    name: str


class RunRequested(Message):
    """Start one run. Carries all that the run needs, so that the orchestrator looks nothing up.

    `version` is the workflow's version whose graph this is, and 0 for a direct call of one
    connector, whose graph is that one node. `execution_id` is given for direct calls only, where
    the caller was told the execution's id before the run began.

    Where `sealed` is given it holds `input` and, of a direct call, `graph`: an input in the open is
    empty then, and the nodes of a graph in the open have no config.
    """

    TYPE: ClassVar[str] = "mirsal.run.requested.v1"

    workspace: str
    run_id: str
    workflow_id: str
    version: int
    graph: Graph
    lead: Lead
    input: JsonObject = Field(default_factory=dict)
    sealed: Sealed | None = None
    execution_id: str | None = None
    requested_at: datetime
    requested_by: Requester | None = None
