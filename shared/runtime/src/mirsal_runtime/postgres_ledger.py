"""The ledger on PostgreSQL, group-committed: calls that arrive together share one statement."""

import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from typing import TypeAlias, TypeVar
from uuid import UUID

import asyncpg

from mirsal_runtime import metrics
from mirsal_runtime.batching import Batcher
from mirsal_runtime.database_spans import tell_statement
from mirsal_runtime.ledger import (
    ROWS_PER_STATEMENT,
    Claim,
    LedgerKey,
    LedgerUnavailable,
    Orphan,
    Outcome,
    Pulse,
    Row,
    Standing,
    standing_of,
)
from mirsal_runtime.queries import load_queries

FORGET_ROWS = 1000

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
ItemT = TypeVar("ItemT", Claim, Outcome)

_SQL = load_queries("mirsal_runtime", "ledger.sql")
_AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


def ledger_schema() -> str:
    """The tables of a ledger; a connector's first migration executes it in its own schema."""
    return load_queries("mirsal_runtime", "ledger_schema.sql")["tables"]


def ledger_walls() -> str:
    """The workspace of each row, and row-level security; executed after `guards()`."""
    return load_queries("mirsal_runtime", "ledger_walls.sql")["walls"]


class PostgresLedger:
    """A `Ledger` in the schema that the pool's sessions have as their search path."""

    def __init__(self, pool: Pool, *, holder: UUID, instance: str) -> None:
        self._pool = pool
        self._holder = holder
        self._instance = instance
        self._claims = Batcher(self._claim_all, limit=ROWS_PER_STATEMENT)
        self._outcomes = Batcher(self._settle_all, limit=ROWS_PER_STATEMENT)

    @property
    def holder(self) -> UUID:
        """This incarnation of the process."""
        return self._holder

    async def claim(self, claim: Claim) -> Standing:
        """See `Ledger.claim`."""
        return await self._claims.submit(claim)

    async def settle(self, outcome: Outcome) -> Standing:
        """See `Ledger.settle`."""
        return await self._outcomes.submit(outcome)

    async def look(self, attempts: Sequence[tuple[LedgerKey, int]]) -> Sequence[Standing]:
        """See `Ledger.look`."""
        keys = [key for key, _ in attempts]
        numbers = [attempt for _, attempt in attempts]
        rows = await self._fetch("look", *_columns(keys), numbers)
        return [
            _standing(row, attempt, self._holder)
            for row, attempt in zip(rows, numbers, strict=True)
        ]

    async def take_over(self, key: LedgerKey, attempt: int, holder: UUID) -> bool:
        """See `Ledger.take_over`."""
        return bool(await self._fetch("take_over", *key, attempt, holder))

    async def resolve(self, orphans: Sequence[Orphan]) -> Sequence[Orphan]:
        """See `Ledger.resolve`."""
        changed: list[Orphan] = []
        for start in range(0, len(orphans), ROWS_PER_STATEMENT):
            part = sorted(orphans[start : start + ROWS_PER_STATEMENT], key=lambda each: each.key)
            rows = await self._fetch(
                "resolve",
                *_columns([each.key for each in part]),
                [each.attempt for each in part],
                [each.token for each in part],
                [each.holder for each in part],
                [each.state for each in part],
                [each.status for each in part],
            )
            changed += [part[row["number"] - 1] for row in rows]
        return changed

    async def beat(self) -> Pulse:
        """See `Ledger.beat`."""
        rows = await self._fetch("beat", self._holder, self._instance)
        beats = {row["holder"]: row["beat"] for row in rows if row["holder"] is not None}
        return Pulse(beats, rows[-1]["now"])

    async def leave(self) -> None:
        """See `Ledger.leave`."""
        await self._fetch("leave", self._holder)

    async def forget(self, older_than_seconds: float) -> int:
        """See `Ledger.forget`."""
        try:
            answer = await self._pool.execute(_SQL["forget"], older_than_seconds, FORGET_ROWS)
            await self._pool.execute(_SQL["forget_holders"], older_than_seconds)
        except _AWAY as error:
            raise LedgerUnavailable(repr(error)) from error
        return int(answer.rsplit(" ", 1)[1])

    async def _claim_all(self, claims: Sequence[Claim]) -> Sequence[Standing]:
        return await _in_rounds(claims, self._claim_apart)

    async def _claim_apart(self, claims: Sequence[Claim]) -> Sequence[Standing]:
        contexts = [claim.traceparent for claim in claims]
        metrics.BATCH_SIZE.labels("claim").observe(len(claims))
        with tell_statement("claim", len(claims), contexts):
            rows = await self._fetch(
                "claim",
                self._holder,
                *_columns([claim.key for claim in claims]),
                [claim.attempt for claim in claims],
                [claim.token for claim in claims],
                [claim.deadline for claim in claims],
                [claim.lease_seconds for claim in claims],
                [claim.workspace for claim in claims],
            )
        return _standings(rows, claims, self._holder)

    async def _settle_all(self, outcomes: Sequence[Outcome]) -> Sequence[Standing]:
        return await _in_rounds(outcomes, self._settle_apart)

    async def _settle_apart(self, outcomes: Sequence[Outcome]) -> Sequence[Standing]:
        contexts = [outcome.traceparent for outcome in outcomes]
        metrics.BATCH_SIZE.labels("settle").observe(len(outcomes))
        with tell_statement("settle", len(outcomes), contexts):
            rows = await self._fetch(
                "settle",
                self._holder,
                *_columns([outcome.key for outcome in outcomes]),
                [outcome.attempt for outcome in outcomes],
                [outcome.token for outcome in outcomes],
                [outcome.state for outcome in outcomes],
                [outcome.status for outcome in outcomes],
                [outcome.workspace for outcome in outcomes],
            )
        return _standings(rows, outcomes, self._holder)

    async def _fetch(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        begun = time.perf_counter()
        try:
            return await self._pool.fetch(_SQL[name], *arguments)
        except _AWAY as error:
            raise LedgerUnavailable(repr(error)) from error
        finally:
            metrics.LEDGER_SECONDS.labels(name).observe(time.perf_counter() - begun)


async def _in_rounds(
    items: Sequence[ItemT], flush: Callable[[Sequence[ItemT]], Awaitable[Sequence[Standing]]]
) -> Sequence[Standing]:
    """Flush in the order of keys, so that statements cannot deadlock, and no key twice in one."""
    answers: dict[int, Standing] = {}
    order = sorted(range(len(items)), key=lambda place: (items[place].key, items[place].attempt))
    while order:
        first = [next(same) for _, same in groupby(order, key=lambda place: items[place].key)]
        standings = await flush([items[place] for place in first])
        answers.update(zip(first, standings, strict=True))
        order = [place for place in order if place not in answers]
    return [answers[place] for place in range(len(items))]


def _columns(keys: Sequence[LedgerKey]) -> tuple[list[UUID], list[str], list[int]]:
    return (
        [key.run_id for key in keys],
        [key.node_id for key in keys],
        [key.iteration for key in keys],
    )


def _standings(
    refused: Sequence[asyncpg.Record], items: Sequence[Claim | Outcome], holder: UUID
) -> list[Standing]:
    """Those that a statement could not write are told of; all others were written."""
    standings = [Standing("granted", item.attempt) for item in items]
    for record in refused:
        place = record["number"] - 1
        item = items[place]
        standings[place] = _standing(record, item.attempt, holder, item.token)
    return standings


def _standing(
    record: asyncpg.Record, attempt: int, holder: UUID, token: int | None = None
) -> Standing:
    row = None if record["attempt"] is None else Row(*record[2:])
    return standing_of(attempt, holder, token, written=False, expired=record["expired"], row=row)
