"""The bodies of the execution calls."""

from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias

from mirsal_contracts.message import JsonObject
from mirsal_contracts.nodes.code import MOST_CODE, CodeConfig
from mirsal_contracts.nodes.email import EmailConfig
from mirsal_contracts.nodes.google_sheets import GoogleSheetsConfig
from mirsal_contracts.nodes.whatsapp import WhatsAppConfig
from mirsal_contracts.workflows import NodeId
from pydantic import Field

from gateway.shapes import Answer, Identifier, Question

ExecutionStatus: TypeAlias = Literal[
    "queued",
    "running",
    "retrying",
    "waiting",
    "succeeded",
    "failed",
    "skipped",
    "cancelled",
    "unconfirmed",
]


FINAL_STATUSES: Final = frozenset({"succeeded", "failed", "skipped", "cancelled", "unconfirmed"})
RESTING_STATUSES: Final = FINAL_STATUSES | {"waiting"}
"""Nothing follows by itself: it is over, or a person must act."""


class SendOne(Question):
    """Have one connector do one thing for one lead; `nodeId` is a label."""

    lead_id: Identifier
    config: JsonObject = Field(description="As in a node of this type; strings are templates.")
    workflow_id: Identifier
    node_id: NodeId


class CheckCode(Question):
    """Look for mistakes in a code node's code, without running it."""

    workflow_id: Identifier
    language: Literal["python", "javascript"]
    code: Annotated[str, Field(min_length=1, max_length=MOST_CODE)]


class CodeMistake(Answer):
    """Where the code cannot be read. `line` and `column` count from 1, null where not known."""

    type: str
    message: str
    line: int | None = None
    column: int | None = None


class CodeChecked(Answer):
    """Whether the code can be read, and its first mistake if not."""

    valid: bool
    mistakes: list[CodeMistake]


class SendEmail(SendOne):
    """Have one e-mail sent to one lead; `nodeId` is a label. For the document only."""

    config: EmailConfig  # type: ignore[assignment] # what is checked against it are templates


class ExecuteCode(SendOne):
    """Have a code run for one lead; `nodeId` is a label. For the document only."""

    config: CodeConfig  # type: ignore[assignment] # what is checked against it are templates


class SendWhatsApp(SendOne):
    """Have one message sent to one lead; `nodeId` is a label. For the document only."""

    config: WhatsAppConfig  # type: ignore[assignment] # what is checked against it are templates


class ProcessSheet(SendOne):
    """Work on the rows of one tab; `nodeId` is a label. For the document only."""

    config: GoogleSheetsConfig  # type: ignore[assignment] # what is checked against it are templates


class ExecutionStarted(Answer):
    """Accepted: Kafka has it."""

    execution_id: str
    run_id: str
    status: str = "queued"
    status_url: str


class ExecutionView(Answer):
    """One node's work within a run.

    Between the 202 and its first row a direct execution reads `queued`, and null where nothing
    is known yet. `retryCount` counts the tries after the first, `maxRetries` at most: 3 once the
    fourth of four tries has failed.
    """

    execution_id: str
    run_id: str | None = None
    workflow_id: str | None = None
    node_id: str | None = None
    lead_id: str | None = None
    connector_type: str | None = None
    status: str = "queued"
    retry_count: int = 0
    max_retries: int | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    duration_ms: int | None = None
    output: JsonObject | None = None
    error: JsonObject | None = None
    trace_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class LogPage(Answer):
    """A page of a workflow's executions, oldest first."""

    items: list[ExecutionView]
    next_cursor: str | None
