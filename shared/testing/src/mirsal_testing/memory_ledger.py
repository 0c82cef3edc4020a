"""A ledger in memory, for tests: passes the suite of the real one, and can be told to fail."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from mirsal_runtime.ledger import (
    Claim,
    LedgerKey,
    LedgerUnavailable,
    Orphan,
    Outcome,
    Pulse,
    Row,
    RowState,
    Standing,
    standing_of,
)


@dataclass(frozen=True)
class _Kept:
    attempt: int
    state: RowState
    holder: UUID
    token: int
    leased_until: datetime
    touched_at: datetime
    status: bytes | None = None


class LedgerStore:
    """What several processes' ledgers share. `now` is the database's clock."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.now = now
        self.rows: dict[LedgerKey, _Kept] = {}
        self.beats: dict[UUID, int] = {}
        self.away = False
        """Whether nothing answers."""
        self.lose_answers = 0
        """How many of the next calls are done, but not answered."""
        self.on_claim: Callable[[], None] | None = None
        """Called when a claim was written, before its answer."""

    def hold(self, key: LedgerKey) -> None:
        """Have a living process hold the key's first attempt."""
        holder, now = uuid4(), self.now()
        self.beats[holder] = 1
        self.rows[key] = _Kept(1, "open", holder, 1, now + timedelta(hours=1), now)

    def take_over_all(self) -> None:
        """Have all open claims be taken over."""
        self.rows = {
            key: replace(row, state="unconfirmed") if row.state == "open" else row
            for key, row in self.rows.items()
        }

    def end_leases(self) -> None:
        """Have the leases of all claims run out."""
        past = self.now() - timedelta(seconds=1)
        self.rows = {key: replace(row, leased_until=past) for key, row in self.rows.items()}


class MemoryLedger:
    """One process's `Ledger` on a store."""

    def __init__(self, store: LedgerStore, *, holder: UUID | None = None) -> None:
        self._store = store
        self._holder = holder or uuid4()
        self._dead = False

    @property
    def holder(self) -> UUID:
        """This incarnation of the process."""
        return self._holder

    def die(self) -> None:
        """The process is killed: none of its calls comes back."""
        self._dead = True

    async def claim(self, claim: Claim) -> Standing:
        """See `Ledger.claim`."""
        await self._arrive()
        now = self._store.now()
        kept = self._store.rows.get(claim.key)
        expired = claim.deadline <= now
        own = (claim.attempt, self._holder, claim.token)
        written = not expired and (
            kept is None
            or _gives_way(kept, claim.attempt)
            or ((kept.attempt, kept.holder, kept.token) == own and kept.state == "open")
        )
        if written:
            self._store.rows[claim.key] = _Kept(
                claim.attempt,
                "open",
                self._holder,
                claim.token,
                now + timedelta(seconds=claim.lease_seconds),
                now,
            )
        if written and self._store.on_claim is not None:
            self._store.on_claim()
        self._answer()
        return self._standing(claim.attempt, claim.token, kept, written=written, expired=expired)

    async def settle(self, outcome: Outcome) -> Standing:
        """See `Ledger.settle`."""
        await self._arrive()
        now = self._store.now()
        kept = self._store.rows.get(outcome.key)
        own = (outcome.attempt, self._holder, outcome.token)
        written = (
            kept is None
            or _gives_way(kept, outcome.attempt)
            or (
                (kept.attempt, kept.holder, kept.token) == own
                and (
                    kept.state == "open"
                    or (kept.state == "unconfirmed" and outcome.state != "unconfirmed")
                )
            )
        )
        if written:
            self._store.rows[outcome.key] = _Kept(
                outcome.attempt,
                outcome.state,
                self._holder,
                outcome.token,
                now if kept is None else kept.leased_until,
                now,
                outcome.status,
            )
        self._answer()
        return self._standing(outcome.attempt, outcome.token, kept, written=written, expired=False)

    async def look(self, attempts: Sequence[tuple[LedgerKey, int]]) -> Sequence[Standing]:
        """See `Ledger.look`."""
        await self._arrive()
        return [
            self._standing(attempt, None, self._store.rows.get(key), written=False, expired=False)
            for key, attempt in attempts
        ]

    async def take_over(self, key: LedgerKey, attempt: int, holder: UUID) -> bool:
        """See `Ledger.take_over`."""
        await self._arrive()
        kept = self._store.rows.get(key)
        now = self._store.now()
        if (
            kept is None
            or (kept.attempt, kept.holder, kept.state) != (attempt, holder, "open")
            or kept.leased_until > now
        ):
            return False
        self._store.rows[key] = replace(kept, state="unconfirmed", touched_at=now)
        return True

    async def resolve(self, orphans: Sequence[Orphan]) -> Sequence[Orphan]:
        """See `Ledger.resolve`."""
        await self._arrive()
        return [orphan for orphan in orphans if self._resolve(orphan)]

    async def beat(self) -> Pulse:
        """See `Ledger.beat`."""
        await self._arrive()
        beats = self._store.beats
        beats[self._holder] = beats.get(self._holder, 0) + 1
        others = {holder: beat for holder, beat in beats.items() if holder != self._holder}
        return Pulse(others, self._store.now())

    async def leave(self) -> None:
        """See `Ledger.leave`."""
        await self._arrive()
        self._store.beats.pop(self._holder, None)

    async def forget(self, older_than_seconds: float) -> int:
        """See `Ledger.forget`."""
        await self._arrive()
        before = self._store.now() - timedelta(seconds=older_than_seconds)
        old = [key for key, kept in self._store.rows.items() if kept.touched_at < before]
        for key in old:
            del self._store.rows[key]
        return len(old)

    def _resolve(self, orphan: Orphan) -> bool:
        kept = self._store.rows.get(orphan.key)
        own = (orphan.attempt, orphan.holder, orphan.token)
        if kept is None or (kept.attempt, kept.holder, kept.token) != own:
            return False
        proven = orphan.state in ("succeeded", "failed")
        if kept.state != "open" and not (kept.state == "unconfirmed" and proven):
            return False
        self._store.rows[orphan.key] = replace(kept, state=orphan.state, status=orphan.status)
        return True

    def _standing(
        self,
        attempt: int,
        token: int | None,
        kept: _Kept | None,
        *,
        written: bool,
        expired: bool,
    ) -> Standing:
        row = None
        if kept is not None:
            over = kept.leased_until <= self._store.now()
            row = Row(kept.attempt, kept.state, kept.holder, kept.token, over, kept.status)
        return standing_of(attempt, self._holder, token, written=written, expired=expired, row=row)

    async def _arrive(self) -> None:
        await asyncio.sleep(0)
        if self._dead:
            await asyncio.get_running_loop().create_future()
        if self._store.away:
            raise LedgerUnavailable("the store is away")

    def _answer(self) -> None:
        if self._store.lose_answers:
            self._store.lose_answers -= 1
            raise LedgerUnavailable("the answer was lost")


def _gives_way(kept: _Kept, attempt: int) -> bool:
    earlier = kept.attempt < attempt and kept.state in ("free", "failed", "unconfirmed")
    return earlier or (kept.attempt == attempt and kept.state == "free")
