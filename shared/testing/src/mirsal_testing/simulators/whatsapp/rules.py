"""Rules of the WhatsApp simulator: which messages they meet and what then happens.

Deciding is pure but for the buckets and counters that rules keep; acting is the server's part.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator

from mirsal_testing.simulators.rulebook import Rule, RuleBook, WireModel
from mirsal_testing.simulators.whatsapp.checks import normalise_number
from mirsal_testing.simulators.whatsapp.errors import MetaError

if TYPE_CHECKING:
    from typing import Self

    from mirsal_testing.simulators.whatsapp.checks import CheckedMessage


class Match(WireModel):
    """All given members must hold; with none given every message matches."""

    to: str | None = None
    text_contains: str | None = None
    callback_data: str | None = None
    probability: float | None = Field(default=None, gt=0, le=1)

    @field_validator("to")
    @classmethod
    def _digits(cls, number: str | None) -> str | None:
        try:
            return None if number is None else normalise_number(number)
        except MetaError as error:
            raise ValueError(error.details) from error

    def meets(self, message: CheckedMessage) -> bool:
        return (
            (self.to is None or self.to == message.wa_id)
            and (self.callback_data is None or self.callback_data == message.callback_data)
            and (self.text_contains is None or self.text_contains in visible_text(message.payload))
        )


class ErrorAnswer(WireModel):
    """An error in Meta's shape. What is left out is as Meta sends it for that code."""

    code: int
    status: int | None = Field(default=None, ge=400, le=599)
    message: str | None = None
    details: str | None = None
    subcode: int | None = None
    retry_after: int | None = Field(default=None, ge=0)

    def error(self) -> MetaError:
        return MetaError(
            self.code,
            message=self.message,
            details=self.details,
            status=self.status,
            subcode=self.subcode,
        )


class RateLimit(WireModel):
    """A token bucket: 130429 for the whole number, or 131056 for each recipient apart."""

    per_second: float = Field(gt=0)
    burst: int = Field(default=1, ge=1)
    per: Literal["number", "pair"] = "number"


class Action(WireModel):
    """`delayMs` may stand alone or beside one of the others, which say how the call ends.

    A message is recorded as accepted only where the action says so: after a delay alone, by
    `drop` "after" or "midway" (half of the answer, then nothing), or with `accept` beside
    `status` or `hang`. `reset` makes a drop a TCP reset instead of a close.
    """

    delay_ms: int = Field(default=0, ge=0)
    error: ErrorAnswer | None = None
    status: int | None = Field(default=None, ge=200, le=599)
    body: str = ""
    drop: Literal["before", "after", "midway"] | None = None
    reset: bool = False
    hang: bool = False
    accept: bool = False
    rate_limit: RateLimit | None = None

    @model_validator(mode="after")
    def _one_ending(self) -> Self:
        endings = [self.error, self.status, self.drop, self.hang or None, self.rate_limit]
        if sum(ending is not None for ending in endings) > 1:
            raise ValueError("only one of error, status, drop, hang and rateLimit")
        if not self.delay_ms and not self.ends_call:
            raise ValueError("an action needs delayMs, error, status, drop, hang or rateLimit")
        if self.accept and self.status is None and not self.hang:
            raise ValueError("accept goes with status or hang only")
        if self.body and self.status is None:
            raise ValueError("body goes with status only")
        if self.reset and self.drop is None:
            raise ValueError("reset goes with drop only")
        return self

    # Read once for each call and rule: as a plain property it would be most of a rule's cost.
    @functools.cached_property
    def ends_call(self) -> bool:
        return (
            self.error is not None
            or self.status is not None
            or self.drop is not None
            or self.hang
            or self.rate_limit is not None
        )

    @functools.cached_property
    def accepts(self) -> bool:
        """Whether the message counts as delivered although the caller may not learn it."""
        return not self.ends_call or self.accept or self.drop in ("after", "midway")


@dataclass(slots=True)
class TokenBuckets:
    """One bucket for each key, filled continuously."""

    limit: RateLimit
    _levels: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, key: str, now: float) -> bool:
        level, since = self._levels.get(key, (float(self.limit.burst), now))
        level = min(self.limit.burst, level + (now - since) * self.limit.per_second)
        self._levels[key] = (level - 1 if level >= 1 else level, now)
        return level >= 1


class WhatsAppRule(Rule):
    """`{"match": {...}, "times": n, "action": {...}}`."""

    match: Match = Field(default_factory=Match)
    action: Action
    _buckets: TokenBuckets | None = PrivateAttr(default=None)

    def lets_pass(self, message: CheckedMessage, now: float) -> bool:
        """True where a rate limit still has room: then the rule does not apply."""
        limit = self.action.rate_limit
        if limit is None:
            return False
        if self._buckets is None:
            self._buckets = TokenBuckets(limit)
        return self._buckets.take(message.wa_id if limit.per == "pair" else "", now)


def choose(
    book: RuleBook[WhatsAppRule], message: CheckedMessage, now: float
) -> tuple[float, WhatsAppRule | None]:
    """Seconds of delay (those of all matching rules added), and the rule that ends the call.

    Rules are tried in order; the first that ends the call is the last that is used up.
    `now` in seconds of a monotonic clock.
    """
    delay = 0.0
    for rule in book.live:
        if not rule.match.meets(message) or not book.happens(rule.match.probability):
            continue
        if rule.lets_pass(message, now):
            continue
        book.spend(rule)
        delay += rule.action.delay_ms / 1000
        if rule.action.ends_call:
            return delay, rule
    return delay, None


def visible_text(payload: dict[str, object]) -> str:
    """The strings that a person may read in a message, joined; for looking up, not for showing."""
    found: list[str] = []
    _collect(payload.get(str(payload.get("type", "text"))), found)
    return "\n".join(found)


def _collect(value: object, found: list[str]) -> None:
    if isinstance(value, str):
        found.append(value)
    elif isinstance(value, dict):
        for member in value.values():
            _collect(member, found)
    elif isinstance(value, list):
        for member in value:
            _collect(member, found)
