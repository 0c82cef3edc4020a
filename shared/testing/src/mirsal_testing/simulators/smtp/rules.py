"""Rules of the SMTP simulator: at which step of a session which mail meets what.

Deciding is here; acting on it is the session's part.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from mirsal_testing.simulators.rulebook import Rule, RuleBook, WireModel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self


class Stage(StrEnum):
    """The steps of a session. `data` is after the whole mail, the others before the reply."""

    GREETING = "greeting"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"


class Match(WireModel):
    """All given members must hold. Addresses are compared without regard to case.

    `to` is known from `rcpt` on (at `data` one of the recipients), `from` from `mail` on.
    `text_contains` looks at the raw bytes of the mail, so encoded words do not match.
    """

    to: str | None = None
    sender: str | None = Field(default=None, alias="from")
    text_contains: str | None = None
    probability: float | None = Field(default=None, gt=0, le=1)

    def meets(self, sender: str | None, recipients: Sequence[str], content: bytes) -> bool:
        return (
            (self.to is None or self.to.casefold() in map(str.casefold, recipients))
            and (self.sender is None or self.sender.casefold() == (sender or "").casefold())
            and (self.text_contains is None or self.text_contains.encode() in content)
        )


class Reply(WireModel):
    """A reply line: `{"code": 450, "text": "4.2.1 The user receives mail too fast"}`."""

    code: int = Field(ge=200, le=599)
    text: str = Field(default="simulated", pattern=r"^[^\r\n]*$")

    def line(self) -> str:
        return f"{self.code} {self.text}"


class Action(WireModel):
    """`delayMs` may stand alone or beside `reply`, `drop` or `hang`.

    `close` ends the connection after the reply; a 421 always does. `drop` "after" first takes
    the mail (only at `data`), "before" does not; `reset` drops by a TCP reset. `accept` lets a
    mail at `data` count as taken although the reply or the hanging says otherwise.
    """

    delay_ms: int = Field(default=0, ge=0)
    reply: Reply | None = None
    close: bool = False
    drop: Literal["before", "after"] | None = None
    reset: bool = False
    hang: bool = False
    accept: bool = False

    @model_validator(mode="after")
    def _one_ending(self) -> Self:
        endings = [self.reply is not None, self.drop is not None, self.hang]
        if sum(endings) > 1:
            raise ValueError("only one of reply, drop and hang")
        if not any(endings) and not self.delay_ms:
            raise ValueError("an action needs delayMs, reply, drop or hang")
        if (self.close and self.reply is None) or (self.reset and self.drop is None):
            raise ValueError("close goes with reply, reset goes with drop")
        if self.accept and not (self.reply or self.hang):
            raise ValueError("accept goes with reply or hang")
        return self

    @property
    def ends_step(self) -> bool:
        return self.reply is not None or self.drop is not None or self.hang

    @property
    def accepts(self) -> bool:
        return not self.ends_step or self.accept or self.drop == "after"


class SmtpRule(Rule):
    """`{"stage": "rcpt", "match": {...}, "times": n, "action": {...}}`."""

    stage: Stage
    match: Match = Field(default_factory=Match)
    action: Action

    @model_validator(mode="after")
    def _possible(self) -> Self:
        match, early = self.match, self.stage in (Stage.GREETING, Stage.AUTH)
        if match.to is not None and (early or self.stage is Stage.MAIL):
            raise ValueError(f"the recipient is not known yet at {self.stage}")
        if match.sender is not None and early:
            raise ValueError(f"the sender is not known yet at {self.stage}")
        if match.text_contains is not None and self.stage is not Stage.DATA:
            raise ValueError("textContains goes with data only")
        if (self.action.accept or self.action.drop == "after") and self.stage is not Stage.DATA:
            raise ValueError("a mail is accepted at data only")
        return self


def choose(
    book: RuleBook[SmtpRule],
    stage: Stage,
    sender: str | None = None,
    recipients: Sequence[str] = (),
    content: bytes = b"",
) -> tuple[float, SmtpRule | None]:
    """Seconds of delay (all matching rules added), and the rule that ends this step."""
    delay = 0.0
    for rule in book.live:
        if rule.stage is not stage or not rule.match.meets(sender, recipients, content):
            continue
        if not book.happens(rule.match.probability):
            continue
        book.spend(rule)
        delay += rule.action.delay_ms / 1000
        if rule.action.ends_step:
            return delay, rule
    return delay, None
