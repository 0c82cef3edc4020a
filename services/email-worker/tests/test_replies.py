"""The table of SMTP refusals, pinned."""

import pytest
from email_worker.replies import Stage, failure_of
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    PermanentError,
    RetryableError,
    ThrottledError,
)

RECIPIENT, CONTENT, SENDER = Stage.RECIPIENT, Stage.CONTENT, Stage.SENDER
CONNECT, LOGIN = Stage.CONNECT, Stage.LOGIN
RETRY, THROTTLE, ACT, FAIL = RetryableError, ThrottledError, ActionRequired, PermanentError
TABLE: list[tuple[Stage, str, type[AttemptFailure], str, float | None]] = [
    (CONTENT, "421 4.3.0 Temporary System Problem", RETRY, "smtp_unavailable", None),
    (CONNECT, "421 4.4.5 Server busy", RETRY, "smtp_unavailable", None),
    (CONTENT, "451 4.3.0 Mail server temporarily rejected", RETRY, "smtp_unavailable", None),
    (CONTENT, "451 4.4.2 Timeout", RETRY, "smtp_unavailable", None),
    (LOGIN, "454 4.7.0 Cannot authenticate", RETRY, "smtp_unavailable", None),
    (CONTENT, "421 4.7.0 An unusual rate", THROTTLE, "smtp_rate_limited", 300),
    (CONTENT, "421 4.7.28 IP rate limited", THROTTLE, "smtp_rate_limited", 300),
    (RECIPIENT, "450 4.2.1 Receives mail too quickly", THROTTLE, "smtp_rate_limited", 300),
    (SENDER, "450 4.2.1 Peak SMTP relay limit exceeded", THROTTLE, "smtp_rate_limited", 300),
    (RECIPIENT, "450 4.2.0 Recipient address rejected: Greylisted", RETRY, "smtp_greylisted", 300),
    (RECIPIENT, "452 4.2.2 The recipient's inbox is over quota", RETRY, "mailbox_full", 3600),
    (CONNECT, "421 Too many concurrent SMTP connections", THROTTLE, "smtp_rate_limited", 30),
    (SENDER, "450 4.7.1 Error: too many mails from 127.0.0.1", THROTTLE, "smtp_rate_limited", 30),
    (RECIPIENT, "452 Too many recipients", RETRY, "too_many_recipients", 300),
    (RECIPIENT, "452 4.5.3 Too many recipients", RETRY, "too_many_recipients", 300),
    (RECIPIENT, "421 4.7.0 TLS required for RCPT domain", ACT, "smtp_tls_required", None),
    (RECIPIENT, "421 4.7.0 IP not in whitelist for RCPT", ACT, "smtp_not_allowed", None),
    (CONTENT, "451 4.5.0 SMTP protocol violation", ACT, "smtp_protocol_refused", None),
    (SENDER, "530 5.7.0 Must issue a STARTTLS command first", ACT, "smtp_tls_required", None),
    (SENDER, "530 5.7.0 Authentication Required", ACT, "smtp_login_required", None),
    (LOGIN, "534 5.7.9 Application-specific password", ACT, "smtp_login_refused", None),
    (LOGIN, "535 5.7.8 Username and Password not accepted", ACT, "smtp_login_refused", None),
    (LOGIN, "535 Error: authentication failed", ACT, "smtp_login_refused", None),
    (SENDER, "550 5.4.5 Daily user sending limit exceeded", THROTTLE, "smtp_quota_exceeded", 21600),
    (CONTENT, "550 5.7.1 unsolicited mail", ACT, "smtp_policy_refused", None),
    (CONTENT, "550 5.7.26 This mail is unauthenticated", ACT, "smtp_policy_refused", None),
    (CONTENT, "550 5.7.515 Access denied", ACT, "smtp_policy_refused", None),
    (RECIPIENT, "550 5.1.1 The email account does not exist", FAIL, "no_such_recipient", None),
    (RECIPIENT, "550 #5.1.1 Address rejected", FAIL, "no_such_recipient", None),
    (RECIPIENT, "552 5.2.2 over quota", FAIL, "mailbox_full", None),
    (SENDER, "552 5.3.4 message exceeds the limit", FAIL, "mail_too_large", None),
    (SENDER, "552 Error: message size exceeds the maximum", FAIL, "mail_too_large", None),
    (RECIPIENT, "550 No such user", FAIL, "smtp_refused", None),
    (CONTENT, "554 Transaction failed", FAIL, "smtp_refused", None),
    (SENDER, "550 Sender refused", ACT, "smtp_refused", None),
    (CONNECT, "554 No SMTP service here", ACT, "smtp_refused", None),
    (RECIPIENT, "550 host 5.4.5.1 says no", FAIL, "smtp_refused", None),
]  # fmt: skip


@pytest.mark.parametrize(("stage", "reply", "kind", "code", "wait"), TABLE)
def test_table(
    stage: Stage, reply: str, kind: type[AttemptFailure], code: str, wait: float | None
) -> None:
    failure = failure_of(stage, int(reply[:3]), reply[4:])
    assert type(failure) is kind
    assert failure.code == code
    assert getattr(failure, "retry_after", None) == wait


def test_message_says_where_and_what_to_do_and_what_the_server_said() -> None:
    failure = failure_of(RECIPIENT, 550, "5.1.1 No such\n5.1.1 user\x07", field="cc[1]")
    assert failure.message == (
        "the mail server refused the recipient (cc[1]): correct the address. "
        "It said: 550 5.1.1 No such 5.1.1 user"
    )


def test_a_long_reply_is_cut() -> None:
    assert len(failure_of(CONTENT, 554, "x" * 100_000).message) < 500


def test_what_the_server_says_at_the_login_is_left_out() -> None:
    failure = failure_of(LOGIN, 535, "5.7.8 bad AUTH PLAIN AHVzZXIAc2VjcmV0")
    assert "It said: 535 5.7.8" in failure.message
    assert "AHVz" not in str(failure)
