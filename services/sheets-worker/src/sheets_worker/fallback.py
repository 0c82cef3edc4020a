"""Where a row goes that the sheet did not take: pure, from the failure, the node's policy and how
long the tab has taken nothing."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from mirsal_runtime.failures import AttemptFailure, OutcomeUnknown

from sheets_worker.errors import Code

Remedy: TypeAlias = Literal["move", "keep", "wait", "ask", "fail"]

CELLS_OF_A_WORKBOOK: Final = 10_000_000
"""What Google allows in all tabs of one spreadsheet together."""
PAUSE: Final = 5.0
"""Seconds until the next try of a sheet that is away, where Google names no time."""

REMEDIES: Final[Mapping[Code, Remedy]] = {
    # Room may be made: what is in BigQuery meanwhile may go back then.
    Code.FULL: "move",
    # No sheet will ever take these.
    Code.TOO_LARGE: "keep",
    Code.CELL_TOO_LONG: "keep",
    Code.QUOTA: "wait",
    Code.UNAVAILABLE: "wait",
    Code.NOT_FOUND: "ask",
    Code.NO_PERMISSION: "ask",
    # Everything else is the sheet's last word, and what nobody can tell yet is looked for first.
}


class Policy(NamedTuple):
    """What a node says of rows that its sheet does not take. `patience` in seconds."""

    on_unavailable: Literal["fallback", "park"] = "park"
    patience: float = 60.0
    backfill: bool = True


class ToBigQuery(NamedTuple):
    """The row goes to BigQuery; `backfill`: and to the sheet, once that takes it."""

    reason: str
    backfill: bool


class WaitFor(NamedTuple):
    """Try the sheet again in so many seconds."""

    seconds: float


class Stay(NamedTuple):
    """The failure is the execution's: it fails, parks or is looked for, as the failure says."""


Decision: TypeAlias = ToBigQuery | WaitFor | Stay


def decide(failure: AttemptFailure, policy: Policy, *, without_success: float) -> Decision:
    """What to do now that the tab has taken nothing for `without_success` seconds."""
    remedy = _remedy(failure)
    reason = failure.code
    match remedy:
        case "move":
            return ToBigQuery(reason, policy.backfill)
        case "keep":
            return ToBigQuery(reason, backfill=False)
        case "ask" if policy.on_unavailable == "fallback":
            return ToBigQuery(reason, policy.backfill)
        case "wait":
            left = policy.patience - without_success
            if left <= 0:
                return ToBigQuery(reason, policy.backfill)
            return WaitFor(min(left, _pause(failure)))
        case _:
            return Stay()


def _remedy(failure: AttemptFailure) -> Remedy:
    if isinstance(failure, OutcomeUnknown):
        return "fail"
    try:
        return REMEDIES.get(Code(failure.code), "fail")
    except ValueError:
        return "fail"


def _pause(failure: AttemptFailure) -> float:
    named = getattr(failure, "retry_after", None)
    return PAUSE if named is None else max(float(named), 0.0)


class Room(NamedTuple):
    """How full a workbook is, as far as is known: cells of all its tabs' grids."""

    cells: int

    def rows_for(self, rows: int, columns: int) -> int:
        """By how many of `rows` rows of `columns` columns a grid may grow."""
        free = max(0, CELLS_OF_A_WORKBOOK - self.cells)
        return rows if not columns else min(rows, free // columns)
