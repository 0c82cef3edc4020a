"""What reached the Sheets simulator: every call, and counts of what took effect."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from mirsal_testing.simulators.control import View
from mirsal_testing.simulators.journal import Journal, Tally


@dataclass(slots=True)
class Call:
    """One call of the API or of the token endpoint, with what the simulator made of it.

    `outcome` is accepted, refused (by Google's own checks), error (by a rule, in Google's
    shape), status (by a rule, bare), dropped or hung. `applied` tells whether it took effect,
    which `outcome` alone does not: the answer to a dropped one may have been a success.
    """

    arrived: float
    method: str
    path: str
    spreadsheet_id: str = ""
    range: str = ""
    body: bytes = b""
    sequence: int = 0
    outcome: str = "accepted"
    status: int | None = None
    reason: str | None = None
    rule_id: str | None = None
    user: str | None = None
    applied: bool = False
    rows: int = 0

    @property
    def arrived_at(self) -> datetime:
        return datetime.fromtimestamp(self.arrived, UTC)


CALLS: View[Call] = View(
    members={
        "sequence": lambda call: call.sequence,
        "arrivedAt": lambda call: call.arrived_at,
        "method": lambda call: call.method,
        "path": lambda call: call.path,
        "spreadsheetId": lambda call: call.spreadsheet_id,
        "range": lambda call: call.range,
        "outcome": lambda call: call.outcome,
        "applied": lambda call: call.applied,
        "rows": lambda call: call.rows,
        "status": lambda call: call.status,
        "reason": lambda call: call.reason,
        "rule": lambda call: call.rule_id,
        "user": lambda call: call.user,
        "bytes": lambda call: len(call.body),
        # A body of the token endpoint holds a signed assertion or a refresh token.
        "body": lambda call: (
            "***" if call.method == "token" else call.body.decode("utf-8", "replace")
        ),
    },
    default=(
        "sequence", "arrivedAt", "method", "path", "spreadsheetId", "range", "outcome",
        "applied", "rows", "status", "reason", "rule", "user", "bytes",
    ),
)  # fmt: skip


class Record:
    """All calls since the start or the last reset. With `keep`, only the newest of them."""

    def __init__(self, keep: int = 0) -> None:
        self.calls: Journal[Call] = Journal(keep)
        self._outcomes = Tally()
        self._statuses = Tally()
        self._applied = Tally()
        self._reads = 0
        self._writes = 0
        self._rows = 0

    @property
    def reads(self) -> int:
        """How many reads were answered, or would have been but for a rule."""
        return self._reads

    @property
    def writes(self) -> int:
        """How many writes took effect, their answers lost or not."""
        return self._writes

    def apply(self, call: Call, kind: str, rows: int) -> None:
        """Counts that the call took effect."""
        call.applied, call.rows = True, rows
        self._applied.add(call.method)
        self._reads += kind == "read"
        self._writes += kind == "write"
        self._rows += rows

    def close(self, call: Call) -> None:
        """Counts the call under its outcome. Once for each call, when that is known."""
        self.calls.append(call)
        call.sequence = self.calls.total
        self._outcomes.add(call.outcome)
        if call.status is not None:
            self._statuses.add(str(call.status))

    def clear(self) -> None:
        for part in (self.calls, self._outcomes, self._statuses, self._applied):
            part.clear()
        self._reads = self._writes = self._rows = 0

    def summary(self) -> dict[str, object]:
        last = self.calls.get(self.calls.total)
        return {
            "calls": self.calls.total,
            "reads": self._reads,
            "writes": self._writes,
            "rows": self._rows,
            "applied": dict(self._applied.counts),
            "outcomes": dict(self._outcomes.counts),
            "statuses": dict(self._statuses.counts),
            "lastArrivedAt": last.arrived_at if last else None,
        }
