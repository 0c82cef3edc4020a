"""What the orchestrator asks of a connector: `node.commands.<connector>.v1`."""

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import Field

from mirsal_contracts.message import JsonObject, Message


class RunNode(Message):
    """Make one attempt of one node.

    `config` holds final values: templates are rendered. One that holds anything of the lead's has
    the one member `$sealed` instead (`mirsal_contracts.leads.Sealed`). `attempt` is the fencing
    number: a connector refuses a command whose execution has a later attempt. After `deadline` (by
    the ledger database's clock) the attempt must not begin. `timeout_seconds` bounds the attempt
    itself, from its first byte to its last.
    """

    TYPE: ClassVar[str] = "mirsal.node.run.v1"

    workspace: str
    run_id: str
    execution_id: str
    command_id: str
    workflow_id: str
    node_id: str
    iteration: int = 0
    attempt: Annotated[int, Field(ge=1)]
    connector: str
    lead_id: str
    config: JsonObject
    timeout_seconds: float
    deadline: datetime
