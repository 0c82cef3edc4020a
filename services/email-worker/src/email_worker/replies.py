"""What an SMTP server's refusal means and what is to be done: one table. Pure.

Each reply here is a definite answer: the mail was not taken. Source: Gmail, "SMTP errors and
codes"; RFC 3463, RFC 5321.
"""

import re
from enum import Enum
from typing import NamedTuple

from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    PermanentError,
    RetryableError,
    ThrottledError,
)

MOST_CHARACTERS = 300
MINUTE, HOUR = 60.0, 3_600.0
_ENHANCED = re.compile(r"#?([45]\.\d{1,3}\.\d{1,3})(?!\S)")


class Stage(Enum):
    """Where in the conversation the server refused; the value is what a person reads."""

    CONNECT = "the connection"
    LOGIN = "the login"
    SENDER = "the sender"
    RECIPIENT = "the recipient"
    CONTENT = "the mail"


class Remedy(Enum):
    """What follows a refusal."""

    RETRY = "retry"
    THROTTLE = "throttle"
    ACT = "act"
    FAIL = "fail"


class Rule(NamedTuple):
    """A reply (code, beginning of its enhanced code, words in it) and what it means.

    `wait` is in seconds.
    """

    code: str
    enhanced: str
    words: str
    remedy: Remedy
    name: str
    advice: str
    wait: float | None = None


# The first rule that fits counts. `code` may end early: "5" is all 5xx.
RULES = (
    Rule("421", "4.7.0", "tls required", Remedy.ACT, "smtp_tls_required", "turn TLS on"),
    Rule("421", "4.7.0", "whitelist", Remedy.ACT, "smtp_not_allowed", "have our address allowed"),
    Rule("421", "4.7.", "", Remedy.THROTTLE, "smtp_rate_limited", "send less", 5 * MINUTE),
    Rule("452", "4.5.3", "", Remedy.RETRY, "too_many_recipients", "name fewer", 5 * MINUTE),
    Rule(
        "452", "", "too many recip", Remedy.RETRY, "too_many_recipients", "name fewer", 5 * MINUTE
    ),
    Rule("4", "", "too many", Remedy.THROTTLE, "smtp_rate_limited", "send less", MINUTE / 2),
    Rule("450", "4.2.1", "", Remedy.THROTTLE, "smtp_rate_limited", "send less", 5 * MINUTE),
    Rule("451", "4.5.0", "", Remedy.ACT, "smtp_protocol_refused", "tell who runs Mirsal"),
    Rule("4", "", "greylist", Remedy.RETRY, "smtp_greylisted", "wait", 5 * MINUTE),
    Rule("452", "4.2.2", "", Remedy.RETRY, "mailbox_full", "wait", HOUR),
    Rule("4", "", "", Remedy.RETRY, "smtp_unavailable", "wait"),
    Rule("530", "", "starttls", Remedy.ACT, "smtp_tls_required", "turn TLS on"),
    Rule("530", "", "", Remedy.ACT, "smtp_login_required", "set user name and password"),
    Rule("534", "", "", Remedy.ACT, "smtp_login_refused", "use an app password"),
    Rule("535", "", "", Remedy.ACT, "smtp_login_refused", "check user name and password"),
    Rule("538", "", "", Remedy.ACT, "smtp_tls_required", "turn TLS on"),
    Rule("5", "5.4.5", "", Remedy.THROTTLE, "smtp_quota_exceeded", "wait or buy more", 6 * HOUR),
    Rule("5", "5.7.", "", Remedy.ACT, "smtp_policy_refused", "read the reply: it is a policy"),
    Rule("5", "5.1.1", "", Remedy.FAIL, "no_such_recipient", "correct the address"),
    Rule("5", "5.2.2", "", Remedy.FAIL, "mailbox_full", "reach the lead in another way"),
    Rule("5", "5.3.4", "", Remedy.FAIL, "mail_too_large", "make the mail smaller"),
    Rule("552", "", "size", Remedy.FAIL, "mail_too_large", "make the mail smaller"),
    Rule("5", "", "", Remedy.FAIL, "smtp_refused", "read the reply"),
)


def failure_of(stage: Stage, code: int, text: str, *, field: str = "") -> AttemptFailure:
    """What to raise for a reply of 4xx or 5xx at `stage`; `field` names the recipient's member."""
    found = _ENHANCED.match(text)
    enhanced = found[1] if found else ""
    rule = next(rule for rule in RULES if _fits(rule, str(code), enhanced, text.lower()))
    reply = f"{code} {readable(text)}".strip()
    if stage is Stage.LOGIN:
        # A server may repeat what it was sent, and that was a password.
        reply = f"{code} {enhanced}".strip()
    what = f"{stage.value} ({field})" if field else stage.value
    message = f"the mail server refused {what}: {rule.advice}. It said: {reply}"
    remedy = rule.remedy
    if remedy is Remedy.FAIL and rule.name == "smtp_refused" and stage in _OURS:
        remedy = Remedy.ACT
    if remedy is Remedy.RETRY:
        return RetryableError(rule.name, message, retry_after=rule.wait)
    if remedy is Remedy.THROTTLE:
        return ThrottledError(rule.name, message, retry_after=rule.wait or MINUTE)
    if remedy is Remedy.ACT:
        return ActionRequired(rule.name, message)
    return PermanentError(rule.name, message)


# What is refused here would be refused for every lead: a person must look, not each node fail.
_OURS = frozenset({Stage.CONNECT, Stage.LOGIN, Stage.SENDER})


def _fits(rule: Rule, code: str, enhanced: str, text: str) -> bool:
    return (
        code.startswith(rule.code)
        and enhanced.startswith(rule.enhanced)
        and (not rule.words or rule.words in text)
    )


def readable(text: str) -> str:
    """A server's words for an error or a result: one line, of limited length."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:MOST_CHARACTERS]
