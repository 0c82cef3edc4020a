"""The bodies of the calls of dead letters."""

from datetime import datetime

from pydantic import Field, JsonValue

from gateway.shapes import Answer


class Position(Answer):
    """A place in Kafka."""

    topic: str
    partition: int
    offset: int


class LetterSummary(Answer):
    """A dead letter, without its content.

    `position` is where the record was (-1 where that is not known), `liesAt` where its letter is.
    `connectorType` is whose letter it is: a connector's, or `orchestrator`. `text` says more about
    `reason`. `outcome` is that of the last replay: `reissued` (the run waited for it, and asked
    the connector again), `taken` (it counted, as if it had come for the first time),
    `not_awaited` (nothing was done), `unreadable`, `unknown_run`, `failed`.
    """

    letter_id: str
    connector_type: str
    position: Position
    lies_at: Position
    reason: str
    text: str
    type: str
    run_id: str | None
    execution_id: str | None
    workflow_id: str | None
    node_id: str | None
    lead_id: str | None
    attempt: int | None
    payload_bytes: int
    created_at: datetime
    replayed_by: str | None
    replayed_at: datetime | None
    outcome: str | None


class LetterPage(Answer):
    """A page of dead letters, oldest first."""

    items: list[LetterSummary]
    next_cursor: str | None


class LetterHeader(Answer):
    """One of the record's own headers; names may come more than once."""

    name: str
    value: str | None


class LetterReplay(Answer):
    """Who wanted it replayed, and what became of it."""

    replay_id: str
    requested_by: str
    requested_at: datetime
    replayed_at: datetime
    outcome: str


class LetterContent(Answer):
    """The record as it was.

    `payload` is the value if it is JSON, `payloadText` if it is not. `isMasked`: what may be
    personal or secret was left out; `wholeBytes` is the size of a value that was cut short before
    it was kept, else null.
    """

    letter_id: str
    key: str | None
    headers: list[LetterHeader]
    payload: JsonValue
    payload_text: str | None
    is_masked: bool
    whole_bytes: int | None


class LetterView(LetterContent, LetterSummary):
    """A dead letter with the record as it was."""

    replays: list[LetterReplay] = Field(description="The earliest first; the last 50.")


class ReplayAccepted(Answer):
    """Accepted: Kafka has it. What becomes of it shows in the letter, under `replayId`."""

    replay_id: str
    letter_id: str
    run_id: str
    status_url: str
