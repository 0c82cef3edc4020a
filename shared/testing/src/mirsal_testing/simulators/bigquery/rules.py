"""Rules of the BigQuery simulator: which calls they meet and what then happens.

Deciding is pure but for the buckets and counters that rules keep; acting is the server's part.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pydantic import Field, PrivateAttr, model_validator

from mirsal_testing.simulators.bigquery.errors import GoogleError
from mirsal_testing.simulators.rulebook import Rule, RuleBook, WireModel

if TYPE_CHECKING:
    from typing import Self

    from mirsal_testing.simulators.bigquery.operations import Operation


class Match(WireModel):
    """All given members must hold; with none given every call matches.

    `operation` as in Google's reference (`tabledata.insertAll`, `tables.patch`), `table` the
    table's id, `contains` a text in the body.
    """

    operation: str | None = None
    table: str | None = None
    contains: str | None = None
    probability: float | None = Field(default=None, gt=0, le=1)

    def meets(self, operation: Operation, body: bytes) -> bool:
        return (
            (self.operation is None or self.operation == operation.name)
            and (self.table is None or self.table == operation.table_id)
            and (self.contains is None or self.contains.encode() in body)
        )


class ErrorAnswer(WireModel):
    """An error in Google's body. What is left out is as Google sends it for that reason."""

    reason: str
    status: int | None = Field(default=None, ge=400, le=599)
    message: str | None = None

    def error(self, table: str) -> GoogleError:
        return GoogleError(self.reason, self.message, status=self.status, table=table)


class RefusedRows(WireModel):
    """Rows of an insertAll that get an error of their own: those with a text, or all."""

    contains: str = ""
    reason: str = "invalid"
    message: str = "simulated"


class RateLimit(WireModel):
    """A token bucket for each table: what finds it empty is answered 403 rateLimitExceeded."""

    per_second: float = Field(gt=0)
    burst: int = Field(default=1, ge=1)


class Action(WireModel):
    """`delayMs` may stand alone or beside one of the others, which say how the call ends.

    A call takes effect only where the action says so: after a delay alone, with `rows` (for the
    others of its rows), by `drop` "after", or with `accept` beside `status` or `hang`. `reset`
    makes a drop a TCP reset instead of a close.
    """

    delay_ms: int = Field(default=0, ge=0)
    error: ErrorAnswer | None = None
    status: int | None = Field(default=None, ge=200, le=599)
    body: str = ""
    drop: Literal["before", "after"] | None = None
    reset: bool = False
    hang: bool = False
    accept: bool = False
    rate_limit: RateLimit | None = None
    rows: RefusedRows | None = None

    @model_validator(mode="after")
    def _one_ending(self) -> Self:
        endings = (self.error, self.status, self.drop, self.hang or None, self.rate_limit)
        given = sum(ending is not None for ending in (*endings, self.rows))
        if given > 1:
            raise ValueError("only one of error, status, drop, hang, rateLimit and rows")
        if not given and not self.delay_ms:
            raise ValueError("an action needs delayMs or one of the endings")
        if self.accept and self.status is None and not self.hang:
            raise ValueError("accept goes with status or hang only")
        if self.body and self.status is None:
            raise ValueError("body goes with status only")
        if self.reset and self.drop is None:
            raise ValueError("reset goes with drop only")
        return self

    @property
    def ends_call(self) -> bool:
        endings = (self.error, self.status, self.drop, self.rate_limit)
        return self.hang or any(ending is not None for ending in endings)

    @property
    def accepts(self) -> bool:
        """Whether the call takes effect although its caller may not learn it."""
        return not self.ends_call or self.accept or self.drop == "after"

    def error_for(self, table: str) -> GoogleError | None:
        if self.error is not None:
            return self.error.error(table)
        return None if self.rate_limit is None else GoogleError("rateLimitExceeded")


@dataclass(slots=True)
class TokenBuckets:
    """One bucket for each table, filled continuously."""

    limit: RateLimit
    _levels: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, key: str, now: float) -> bool:
        level, since = self._levels.get(key, (float(self.limit.burst), now))
        level = min(self.limit.burst, level + (now - since) * self.limit.per_second)
        self._levels[key] = (level - 1 if level >= 1 else level, now)
        return level >= 1


class BigQueryRule(Rule):
    """`{"match": {...}, "times": n, "action": {...}}`."""

    match: Match = Field(default_factory=Match)
    action: Action
    _buckets: TokenBuckets | None = PrivateAttr(default=None)

    def lets_pass(self, operation: Operation, now: float) -> bool:
        """True where a rate limit still has room: then the rule does not apply."""
        limit = self.action.rate_limit
        if limit is None:
            return False
        if self._buckets is None:
            self._buckets = TokenBuckets(limit)
        return self._buckets.take(operation.table, now)


@dataclass
class Fate:
    """What the rules have in store for one call: delay in s, refused rows, and how it ends."""

    delay: float = 0.0
    rows: list[RefusedRows] = field(default_factory=list)
    ending: BigQueryRule | None = None


def choose(book: RuleBook[BigQueryRule], operation: Operation, body: bytes, now: float) -> Fate:
    """Rules are tried in order; the first that ends the call is the last that is used up.

    `now` in seconds of a monotonic clock.
    """
    fate = Fate()
    for rule in book.live:
        if not rule.match.meets(operation, body) or not book.happens(rule.match.probability):
            continue
        if rule.lets_pass(operation, now):
            continue
        book.spend(rule)
        fate.delay += rule.action.delay_ms / 1000
        if rule.action.rows is not None:
            fate.rows.append(rule.action.rows)
        if rule.action.ends_call:
            fate.ending = rule
            break
    return fate
