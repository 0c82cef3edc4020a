"""What reached the BigQuery simulator: every call, and the streamed rows that were stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mirsal_testing.simulators.control import View
from mirsal_testing.simulators.journal import Journal, Tally

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirsal_testing.simulators.bigquery.operations import Operation
    from mirsal_testing.simulators.bigquery.values import Json


@dataclass(slots=True)
class Call:
    """One call of the API, with what the simulator made of it.

    `outcome` is answered (by the emulator, whatever its status), refused (by Google's checks),
    error (by a rule, in Google's body), status (by a rule, bare), dropped, hung or left (its
    caller went away first). `stored` counts the rows that an insertAll left in its table, whether
    or not its caller learnt of it.
    """

    operation: Operation
    arrived: float
    method: str
    path: str
    size: int
    sequence: int = 0
    outcome: str = "answered"
    status: int | None = None
    reason: str | None = None
    message: str | None = None
    rule_id: str | None = None
    rows: int = 0
    stored: int = 0
    repeated: int = 0
    row_errors: list[dict[str, object]] = field(default_factory=list)

    @property
    def arrived_at(self) -> datetime:
        return datetime.fromtimestamp(self.arrived, UTC)


@dataclass(slots=True)
class StoredRow:
    """A row of an insertAll that is in its table."""

    stored: float
    table: str
    insert_id: str | None
    json: Mapping[str, Json]
    sequence: int = 0

    @property
    def stored_at(self) -> datetime:
        return datetime.fromtimestamp(self.stored, UTC)


CALLS: View[Call] = View(
    members={
        "sequence": lambda call: call.sequence,
        "arrivedAt": lambda call: call.arrived_at,
        "operation": lambda call: call.operation.name,
        "table": lambda call: call.operation.table,
        "method": lambda call: call.method,
        "path": lambda call: call.path,
        "size": lambda call: call.size,
        "outcome": lambda call: call.outcome,
        "status": lambda call: call.status,
        "reason": lambda call: call.reason,
        "message": lambda call: call.message,
        "rule": lambda call: call.rule_id,
        "rows": lambda call: call.rows,
        "stored": lambda call: call.stored,
        "repeated": lambda call: call.repeated,
        "rowErrors": lambda call: call.row_errors,
    },
    default=(
        "sequence", "arrivedAt", "operation", "table", "outcome", "status", "reason", "message",
        "rule", "rows", "stored", "repeated", "rowErrors",
    ),
)  # fmt: skip

ROWS: View[StoredRow] = View(
    members={
        "sequence": lambda row: row.sequence,
        "storedAt": lambda row: row.stored_at,
        "table": lambda row: row.table,
        "insertId": lambda row: row.insert_id,
        "json": lambda row: row.json,
    },
    default=("sequence", "storedAt", "table", "insertId", "json"),
)


class Record:
    """All calls and stored rows since the start or the last reset. With `keep`, the newest only."""

    def __init__(self, keep: int = 0) -> None:
        self.calls: Journal[Call] = Journal(keep)
        self.rows: Journal[StoredRow] = Journal(keep)
        self.by_insert_id = Tally()
        self._outcomes = Tally()
        self._operations = Tally()
        self._reasons = Tally()

    def store(self, row: StoredRow) -> None:
        self.rows.append(row)
        row.sequence = self.rows.total
        if row.insert_id is not None:
            self.by_insert_id.add(row.insert_id)

    def close(self, call: Call) -> None:
        """Counts the call under its outcome. Once for each call, when that is known."""
        self.calls.append(call)
        call.sequence = self.calls.total
        self._outcomes.add(call.outcome)
        self._operations.add(call.operation.name)
        if call.reason is not None:
            self._reasons.add(call.reason)

    def clear(self) -> None:
        for part in (self.calls, self.rows, self.by_insert_id, self._outcomes, self._operations,
                     self._reasons):  # fmt: skip
            part.clear()

    def summary(self) -> dict[str, object]:
        last = self.rows.get(self.rows.total)
        return {
            "calls": self.calls.total,
            "messages": self.rows.total,
            "outcomes": dict(self._outcomes.counts),
            "operations": dict(self._operations.counts),
            "reasons": dict(self._reasons.counts),
            "insertIds": len(self.by_insert_id),
            "duplicates": dict(self.by_insert_id.repeated),
            "lastStoredAt": last.stored_at if last else None,
        }
