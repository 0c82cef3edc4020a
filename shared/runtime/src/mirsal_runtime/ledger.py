"""The ledger's port: who may have an effect, and what became of it. No SQL here.

One row per (run, node, iteration); the attempt is its fencing number. A row is `open` from the
claim to the outcome, and then `succeeded`, `failed` or `unconfirmed`; `free` if the claim was
proven not to have been acted on.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple, Protocol, TypeAlias
from uuid import UUID

EndState: TypeAlias = Literal["succeeded", "failed", "unconfirmed"]
RowState: TypeAlias = Literal["open", "free"] | EndState
Verdict: TypeAlias = Literal["granted", "expired", "superseded", "held", "remembered", "vacant"]

ROWS_PER_STATEMENT = 500


class LedgerUnavailable(Exception):
    """PostgreSQL did not answer as it should; whether it did what was asked is open."""


class LedgerKey(NamedTuple):
    """What the ledger has one row for."""

    run_id: UUID
    node_id: str
    iteration: int


class Claim(NamedTuple):
    """The wish to have the effect now.

    `token` tells this process's attempts apart. `lease_seconds` is how long nobody else may take
    the claim over; `deadline` is by the ledger's clock.
    """

    key: LedgerKey
    attempt: int
    token: int
    deadline: datetime
    lease_seconds: float
    traceparent: str = ""
    workspace: str = ""


class Outcome(NamedTuple):
    """An attempt's end; `status` is the message that says so."""

    key: LedgerKey
    attempt: int
    token: int
    state: EndState
    status: bytes
    traceparent: str = ""
    workspace: str = ""


class Standing(NamedTuple):
    """How a row stands to an attempt.

    - `granted`: the claim is this attempt's, or its outcome is written.
    - `expired`: the deadline has passed; nobody has claimed it.
    - `superseded`: a later attempt exists.
    - `held`: it, or an earlier attempt, is open, and `holder` has it; `lease_over` by the
      ledger's clock.
    - `remembered`: it has the outcome `state`, or an earlier attempt succeeded. `status` is None
      where nobody was left to write one.
    - `vacant`: nothing is in the way of a claim; or another's write came between: ask again.
    """

    verdict: Verdict
    attempt: int = 0
    holder: UUID | None = None
    lease_over: bool = False
    state: EndState | None = None
    status: bytes | None = None


class Row(NamedTuple):
    """What the ledger holds of one key."""

    attempt: int
    state: RowState
    holder: UUID
    token: int
    lease_over: bool
    status: bytes | None


def standing_of(
    attempt: int,
    holder: UUID,
    token: int | None,
    *,
    written: bool,
    expired: bool,
    row: Row | None,
) -> Standing:
    """What a statement's answer says of `attempt`.

    `written`: the statement changed the row. `row` is the row as it was before. Pure.
    """
    free = Standing("expired" if expired else "vacant", attempt)
    if written:
        return Standing("granted", attempt)
    if row is None:
        return free
    if row.attempt > attempt:
        return Standing("superseded", row.attempt)
    if row.state == "open":
        if (row.attempt, row.holder, row.token) == (attempt, holder, token):
            return free
        return Standing("held", row.attempt, row.holder, row.lease_over)
    if row.state == "succeeded" or (row.attempt == attempt and row.state != "free"):
        return Standing("remembered", row.attempt, state=row.state, status=row.status)
    return free


class Orphan(NamedTuple):
    """A claim of a dead predecessor, and what its journal proves of it."""

    key: LedgerKey
    attempt: int
    token: int
    holder: UUID
    state: Literal["free"] | EndState
    status: bytes | None
    traceparent: str = ""


class Pulse(NamedTuple):
    """The beats of all other holders, and the ledger's clock."""

    beats: Mapping[UUID, int]
    now: datetime


class Ledger(Protocol):
    """One process's view of the ledger. Every call raises `LedgerUnavailable`."""

    @property
    def holder(self) -> UUID:
        """This incarnation of the process."""

    async def claim(self, claim: Claim) -> Standing:
        """Ask for the right to have the effect.

        A claim that this process holds under the same token is granted again, its lease from
        now: the answer to the first was lost.
        """

    async def settle(self, outcome: Outcome) -> Standing:
        """Write the outcome, if it is this attempt's to write.

        It is when the attempt was claimed under the same token, when nobody has claimed it (an
        attempt that failed before its claim, or whose effect may be repeated), and as late
        evidence: `unconfirmed` becomes what it turned out to be.
        """

    async def look(self, attempts: Sequence[tuple[LedgerKey, int]]) -> Sequence[Standing]:
        """How rows stand to attempts."""

    async def take_over(self, key: LedgerKey, attempt: int, holder: UUID) -> bool:
        """Make another's open claim unconfirmed, if `holder` still has it and its lease is over."""

    async def resolve(self, orphans: Sequence[Orphan]) -> Sequence[Orphan]:
        """Write what the journal proves; those whose row it changed."""

    async def beat(self) -> Pulse:
        """Say that this process lives, and see who else does."""

    async def leave(self) -> None:
        """Say that this process ends."""

    async def forget(self, older_than_seconds: float) -> int:
        """Remove some rows that nobody has touched for so long; how many."""
