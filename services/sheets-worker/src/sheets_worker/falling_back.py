"""One command's row when its sheet did not take it: what `fallback` decides is done here."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mirsal_runtime.attempt import Attempt
from mirsal_runtime.call_spans import calling
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    OutcomeUnknown,
    ThrottledError,
)
from mirsal_runtime.span_bytes import SpanValue

from sheets_worker.fallback import Policy, Stay, ToBigQuery, WaitFor, decide
from sheets_worker.jobs import Answer, Job
from sheets_worker.overflow_store import Overflowing
from sheets_worker.params import SheetsParams
from sheets_worker.places import NotEnded, Places
from sheets_worker.rows import Column, Placed, Row, TabName

SHORTEST_WAIT = 1.0
UNCERTAIN_WAIT = 5.0
NEW_ROWS = ("append", "upsert")
_BIGQUERY: Mapping[str, SpanValue] = {
    "db.system.name": "gcp.bigquery",
    "db.operation.name": "insert",
}


class Fallback(NamedTuple):
    """The way to BigQuery for the row of one command."""

    params: SheetsParams
    attempt: Attempt
    places: Places
    tab: TabName
    row: Row
    columns: Sequence[Column]

    @property
    def policy(self) -> Policy:
        """What the node says. An upsert does not come back: the sheet may have newer values."""
        params = self.params
        backfill = params.backfill and params.operation == "append"
        return Policy(params.on_unavailable, params.patience_seconds, backfill)

    @property
    def patience(self) -> float | None:
        """How long the sheet may be in trouble before the row goes elsewhere; None: for ever."""
        moves = self.params.operation in NEW_ROWS and self.places.overflow.takes_rows
        return self.params.patience_seconds if moves else None

    async def move(self, failure: AttemptFailure, job: Job | None = None) -> Placed:
        """Where the row is now that the sheet did not take. Raises `AttemptFailure`."""
        if self.params.operation not in NEW_ROWS:
            raise failure
        if isinstance(failure, OutcomeUnknown) and job is not None and job.uncertain:
            # The note is settled within minutes: more than some nodes' retries would last.
            raise _later(failure, UNCERTAIN_WAIT)
        without_success = float("inf") if job is not None and job.impatient else 0.0
        match decide(failure, self.policy, without_success=without_success):
            case ToBigQuery(reason, backfill):
                try:
                    return await self._send(reason, job, backfill=backfill)
                except NotEnded:
                    # Nobody can look into a sheet that is closed to us: waiting would have no end.
                    if isinstance(failure, ActionRequired):
                        raise failure from None
                    raise
            case WaitFor(seconds) if self.places.overflow.takes_rows:
                raise _later(failure, seconds)
            case WaitFor() | Stay():
                raise failure

    async def confirm(self, answer: Answer, job: Job) -> Answer:
        """The answer, once a row that was bound for BigQuery is there."""
        if not isinstance(answer, Placed) or answer.place == "sheet":
            return answer
        found = await self.places.confirm(self._overflowing("", backfill=False))
        if found is not None:
            return found
        return await self._send(answer.reason or "", job, backfill=self.policy.backfill)

    async def _send(self, reason: str, job: Job | None, *, backfill: bool) -> Placed:
        if job is None or not job.claimed:
            await self.attempt.claim()
            if job is not None:
                job.claimed = True
        with calling("insert", self.attempt.traceparent, {**_BIGQUERY}):
            return await self.places.move(self._overflowing(reason, backfill=backfill))

    def _overflowing(self, reason: str, *, backfill: bool) -> Overflowing:
        return Overflowing(self.tab, self.row, self.columns, reason, backfill)


def _later(failure: AttemptFailure, seconds: float) -> ThrottledError:
    """A row that only has to wait does so without limit: it uses up no retries."""
    if isinstance(failure, ThrottledError):
        return failure
    return ThrottledError(
        failure.code,
        failure.message,
        retry_after=max(seconds, SHORTEST_WAIT),
        details=failure.details,
    )
