"""The orchestrator's views of dead letters."""

from base64 import b64decode
from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

import asyncpg
from mirsal_runtime.queries import load_queries

from gateway.letters.schemas import LetterReplay, LetterSummary, Position
from gateway.paging import Asked, BothWays, Cursor
from gateway.store import Database

_SQL = load_queries("gateway.letters")
_LIST = BothWays.of(_SQL["list_letters"])


class LetterFilter(NamedTuple):
    """Which letters are asked for; None takes all."""

    connector_type: str | None = None
    topic: str | None = None
    workflow_id: str | None = None
    run_id: UUID | None = None
    lead_id: str | None = None
    reason: str | None = None
    is_replayed: bool | None = None


class LetterEntry(NamedTuple):
    """A letter with its place in the list."""

    place: Cursor
    summary: LetterSummary


class WholeLetter(NamedTuple):
    """A letter with the record as it was."""

    summary: LetterSummary
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    whole_bytes: int


class LetterStore:
    """Letters as the orchestrator publishes them; every method but one keeps to one workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_letters(
        self,
        workspace: str,
        granted: Collection[str] | None,
        wanted: LetterFilter,
        asked: Asked,
    ) -> list[LetterEntry]:
        """A page of letters, and one more; of `granted` workflows only, where that is set."""
        workflows = None if granted is None else sorted(granted)
        rows = await self._database.fetch_in(
            workspace,
            _LIST.for_page(asked),
            workspace, *asked.place, workflows, *wanted, asked.since, asked.until,
            asked.limit + 1,
        )  # fmt: skip
        return [
            LetterEntry(Cursor(row["died_at"], str(row["letter_id"])), _summary(row))
            for row in rows
        ]

    async def read(self, workspace: str, letter_id: UUID) -> WholeLetter | None:
        """One letter."""
        row = await self._database.fetch_row_in(
            workspace, _SQL["read_letter"], workspace, letter_id
        )
        if row is None:
            return None
        headers = [(name, _to_bytes(value)) for name, value in row["headers"]]
        return WholeLetter(_summary(row), row["key"], row["value"], headers, row["whole_bytes"])

    async def read_replays(self, workspace: str, letter_id: UUID) -> list[LetterReplay]:
        """What became of a letter's replays, the earliest first."""
        rows = await self._database.fetch_in(workspace, _SQL["read_replays"], workspace, letter_id)
        return [LetterReplay(**row) for row in rows]

    async def count(self) -> dict[str, int]:
        """How many letters of all workspaces were never replayed, by connector."""
        rows = await self._database.fetch_everywhere(_SQL["count_letters"])
        return {row["connector"]: row["letters"] for row in rows}


def _summary(row: asyncpg.Record) -> LetterSummary:
    lies_at = Position(
        topic=row["letter_topic"],
        partition=row["letter_partition"],
        offset=row["letter_position"],
    )
    return LetterSummary(
        letter_id=str(row["letter_id"]),
        connector_type=row["connector"],
        position=Position(topic=row["topic"], partition=row["partition"], offset=row["position"]),
        lies_at=lies_at,
        reason=row["reason"],
        text=row["text"],
        type=row["type"],
        run_id=None if row["run_id"] is None else str(row["run_id"]),
        execution_id=row["execution_id"] or None,
        workflow_id=row["workflow_id"] or None,
        node_id=row["node_id"] or None,
        lead_id=row["lead_id"] or None,
        attempt=row["attempt"] or None,
        payload_bytes=row["payload_bytes"],
        created_at=row["died_at"],
        replayed_by=row["replayed_by"],
        replayed_at=row["replayed_at"],
        outcome=row["outcome"],
    )


def _to_bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)
