"""Rules of the Sheets simulator: which calls they meet and what then happens.

Deciding only; acting is the server's part.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator, model_validator

from mirsal_testing.simulators.rulebook import Rule, RuleBook, WireModel
from mirsal_testing.simulators.sheets.a1 import parse_reference
from mirsal_testing.simulators.sheets.accounts import PROJECT_NUMBER
from mirsal_testing.simulators.sheets.calls import METHODS
from mirsal_testing.simulators.sheets.errors import (
    SERVICE,
    GoogleError,
    bad_credentials,
    quota_exceeded,
    too_large_body,
    too_many_cells,
)

if TYPE_CHECKING:
    from typing import Self

    from mirsal_testing.simulators.sheets.calls import Target

ErrorKind = Literal[
    "rateLimited", "internal", "badGateway", "unavailable", "deadlineExceeded", "notFound",
    "permissionDenied", "unauthenticated", "tooManyCells", "tooLargeBody", "invalidGrant",
]  # fmt: skip
_CODES = {
    "internal": 500, "badGateway": 502, "unavailable": 503, "deadlineExceeded": 504,
    "notFound": 404, "permissionDenied": 403,
}  # fmt: skip
KINDS = ("read", "write")


class Match(WireModel):
    """All given members must hold. Without `call` every call of the API matches, `token` not.

    `call` holds names as records show them (`values.append`), `read` or `write`.
    """

    call: tuple[str, ...] = ()
    spreadsheet_id: str | None = None
    tab: str | None = None
    probability: float | None = Field(default=None, gt=0, le=1)

    @field_validator("call", mode="before")
    @classmethod
    def _known(cls, given: object) -> object:
        names = [given] if isinstance(given, str) else given
        if isinstance(names, (list, tuple)):
            for name in names:
                if name not in METHODS and name not in KINDS:
                    raise ValueError(
                        f"no such call: {name}; known: {', '.join(METHODS)}, read, write"
                    )
        return names

    def meets(self, target: Target) -> bool:
        method = target.method
        if self.call:
            if method.name not in self.call and method.kind not in self.call:
                return False
        elif method.kind == "token":
            return False
        if self.spreadsheet_id is not None and self.spreadsheet_id != target.spreadsheet_id:
            return False
        return self.tab is None or self.tab == _tab_of(target)


def _tab_of(target: Target) -> str | None:
    reference = parse_reference(target.range)
    return None if reference is None else reference.title


class ErrorAnswer(WireModel):
    """A `kind`, or any `code`, in Google's shape. `limit` and `per` are what a 429 tells."""

    kind: ErrorKind | None = None
    code: int | None = Field(default=None, ge=400, le=599)
    message: str | None = None
    status: str | None = None
    retry_after: int | None = Field(default=None, ge=0)
    limit: int = Field(default=60, ge=0)
    per: Literal["user", "project"] = "user"

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.kind is None) == (self.code is None):
            raise ValueError("an error needs either kind or code")
        return self

    def error(self, target: Target) -> GoogleError:
        method = target.method
        made: GoogleError
        if self.kind == "rateLimited":
            kind = "write" if method.kind == "write" else "read"
            made = quota_exceeded(
                kind, self.limit, per_user=self.per == "user", project=PROJECT_NUMBER
            )
        elif self.kind == "unauthenticated":
            made = bad_credentials(method.google_name or SERVICE)
        elif self.kind == "tooManyCells":
            made = too_many_cells()
        elif self.kind == "tooLargeBody":
            made = too_large_body()
        else:
            code = _CODES.get(self.kind or "", self.code or 500)
            return GoogleError(code, self.message, status=self.status)
        if self.message is not None:
            made.message = self.message
        return made


class Action(WireModel):
    """`delayMs` may stand alone or beside one of the others, which say how the call ends.

    A call takes effect only where the action says so: after a delay alone, by `drop` "after"
    or "midway" (half of the answer, then nothing), or with `accept` beside `error`, `status`
    or `hang`. `reset` makes a drop a TCP reset instead of a close.
    """

    delay_ms: int = Field(default=0, ge=0)
    error: ErrorAnswer | None = None
    status: int | None = Field(default=None, ge=200, le=599)
    body: str = ""
    drop: Literal["before", "after", "midway"] | None = None
    reset: bool = False
    hang: bool = False
    accept: bool = False

    @model_validator(mode="after")
    def _one_ending(self) -> Self:
        endings = [self.error, self.status, self.drop, self.hang or None]
        given = sum(ending is not None for ending in endings)
        if given > 1:
            raise ValueError("only one of error, status, drop and hang")
        if not self.delay_ms and not given:
            raise ValueError("an action needs delayMs, error, status, drop or hang")
        if self.accept and (self.drop is not None or not given):
            raise ValueError("accept goes with error, status or hang only")
        if self.body and self.status is None:
            raise ValueError("body goes with status only")
        if self.reset and self.drop is None:
            raise ValueError("reset goes with drop only")
        return self

    # Read once for each call and rule: as a plain property it would be most of a rule's cost.
    @functools.cached_property
    def ends_call(self) -> bool:
        return (
            self.error is not None or self.status is not None or self.drop is not None or self.hang
        )

    @functools.cached_property
    def applies(self) -> bool:
        """Whether the call takes effect although the caller may not learn it."""
        return not self.ends_call or self.accept or self.drop in ("after", "midway")


class SheetsRule(Rule):
    """`{"match": {...}, "times": n, "action": {...}}`."""

    match: Match = Field(default_factory=Match)
    action: Action

    @model_validator(mode="after")
    def _grant_errors_meet_token_calls(self) -> Self:
        error = self.action.error
        if error is not None and error.kind == "invalidGrant" and self.match.call != ("token",):
            raise ValueError('invalidGrant needs {"match": {"call": "token"}}')
        return self


def choose(book: RuleBook[SheetsRule], target: Target) -> tuple[float, SheetsRule | None]:
    """Seconds of delay (those of all matching rules added), and the rule that ends the call."""
    delay = 0.0
    for rule in book.live:
        if not rule.match.meets(target) or not book.happens(rule.match.probability):
            continue
        book.spend(rule)
        delay += rule.action.delay_ms / 1000
        if rule.action.ends_call:
            return delay, rule
    return delay, None
