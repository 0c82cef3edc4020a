"""The table of what becomes of a row that its sheet did not take."""

from __future__ import annotations

import pytest
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    OutcomeUnknown,
    PermanentError,
    RetryableError,
    ThrottledError,
)
from sheets_worker.errors import Code
from sheets_worker.fallback import (
    PAUSE,
    Decision,
    Policy,
    Room,
    Stay,
    ToBigQuery,
    WaitFor,
    decide,
)

FULL = PermanentError(Code.FULL, "full")
LONG_CELL = PermanentError(Code.CELL_TOO_LONG, "long")
LARGE = PermanentError(Code.TOO_LARGE, "large")
THROTTLED = ThrottledError(Code.QUOTA, "later", retry_after=30)
AWAY = RetryableError(Code.UNAVAILABLE, "away")
UNKNOWN = OutcomeUnknown(Code.NO_ANSWER, "perhaps")
GONE = ActionRequired(Code.NOT_FOUND, "gone")
CLOSED = ActionRequired(Code.NO_PERMISSION, "closed")
REVOKED = ActionRequired(Code.CREDENTIALS, "revoked")

PARK = Policy()
MOVE = Policy(on_unavailable="fallback")
NOT_BACK = Policy(on_unavailable="fallback", backfill=False)
AT_ONCE = Policy(patience=0)


@pytest.mark.parametrize(
    ("failure", "policy", "without_success", "decision"),
    [
        # A full workbook: whatever the policy, since waiting would not help.
        (FULL, PARK, 0, ToBigQuery("sheets_full", backfill=True)),
        (FULL, NOT_BACK, 0, ToBigQuery("sheets_full", backfill=False)),
        # What no sheet takes never goes back.
        (LARGE, MOVE, 0, ToBigQuery("sheets_too_large", backfill=False)),
        (LONG_CELL, PARK, 0, ToBigQuery("cell_too_long", backfill=False)),
        # Starved of quota, or away: as long as the node is patient.
        (THROTTLED, PARK, 0, WaitFor(30)),
        (THROTTLED, PARK, 50, WaitFor(10)),
        (THROTTLED, PARK, 60, ToBigQuery("sheets_quota", backfill=True)),
        (THROTTLED, AT_ONCE, 0, ToBigQuery("sheets_quota", backfill=True)),
        (AWAY, PARK, 0, WaitFor(PAUSE)),
        (AWAY, PARK, 59.5, WaitFor(0.5)),
        (AWAY, NOT_BACK, 61, ToBigQuery("sheets_unavailable", backfill=False)),
        # Deleted, or no longer shared: as the node says.
        (GONE, PARK, 1_000, Stay()),
        (GONE, MOVE, 0, ToBigQuery("sheets_not_found", backfill=True)),
        (CLOSED, PARK, 0, Stay()),
        (CLOSED, NOT_BACK, 0, ToBigQuery("sheets_no_permission", backfill=False)),
        # Nobody can tell whether the sheet has it: it must not be in both places.
        (UNKNOWN, MOVE, 1_000, Stay()),
        (OutcomeUnknown(Code.QUOTA, "odd"), MOVE, 1_000, Stay()),
        # BigQuery's credentials are the same.
        (REVOKED, MOVE, 1_000, Stay()),
        (ActionRequired(Code.INVALID_HEADER, "two"), MOVE, 1_000, Stay()),
        (PermanentError(Code.REFUSED, "wrong"), MOVE, 1_000, Stay()),
        (PermanentError("a_code_of_others", "wrong"), MOVE, 1_000, Stay()),
    ],
)
def test_table(
    failure: AttemptFailure, policy: Policy, without_success: float, decision: Decision
) -> None:
    assert decide(failure, policy, without_success=without_success) == decision


def test_every_failure_of_a_write_is_decided() -> None:
    named = {Code.FULL, Code.TOO_LARGE, Code.CELL_TOO_LONG, Code.QUOTA, Code.UNAVAILABLE,
             Code.NOT_FOUND, Code.NO_PERMISSION}  # fmt: skip
    for code in Code:
        decision = decide(PermanentError(code, ""), MOVE, without_success=100)
        assert isinstance(decision, ToBigQuery) == (code in named), code


@pytest.mark.parametrize(
    ("cells", "rows", "columns", "fit"),
    [
        (0, 1, 1, 1),
        (9_999_990, 2, 5, 2),
        (9_999_990, 3, 5, 2),
        (9_999_991, 2, 5, 1),
        (9_999_996, 2, 5, 0),
        (10_000_001, 2, 5, 0),
        (10_000_000, 2, 0, 2),
    ],
)
def test_room(cells: int, rows: int, columns: int, fit: int) -> None:
    assert Room(cells).rows_for(rows, columns) == fit
