"""Mail on real sockets: what arrives, in which order, and what never gets through."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from email_worker.mailer import Mailer
from email_worker.params import EmailParams, EmailResult
from email_worker.send import send_email
from mirsal_runtime.attempt import ClaimRefused
from mirsal_runtime.failures import PermanentError, RetryableError
from mirsal_testing.commands import make_command
from mirsal_testing.simulators.smtp import SmtpSimulator

CASES = json.loads((Path(__file__).parent / "data" / "header_injection.json").read_text("utf-8"))
COMMAND_ID = "0198c0de-0000-8000-8000-000000000001.1"
FIELDS = {
    "Content-Type", "MIME-Version", "Content-Transfer-Encoding", "From", "To", "Cc", "Reply-To",
    "Subject", "Date", "Message-ID",
}  # fmt: skip

OpenMailer = Callable[..., Mailer]


class Attempt:
    """One attempt whose claim is granted, unless `refuse`."""

    traceparent = ""

    def __init__(self, *, refuse: bool = False) -> None:
        self.refuse = refuse
        self.claims = 0
        self.command = make_command("email").model_copy(update={"command_id": COMMAND_ID})

    async def claim(self) -> float:
        self.claims += 1
        if self.refuse:
            raise ClaimRefused("sent already")
        return 5.0


async def send(mailer: Mailer, attempt: Attempt | None = None, **config: Any) -> EmailResult:
    params = EmailParams.model_validate(
        {"to": "ahmed@example.com", "subject": "s", "body": "b", **config}
    )
    return await send_email(params, attempt or Attempt(), mailer)


async def test_acceptance_story_byte_for_byte(
    server: SmtpSimulator, open_mailer: OpenMailer
) -> None:
    result = await send(
        open_mailer(server.port),
        to="ahmed@example.com",
        subject="مرحباً أحمد محمد",
        body="عزيزي أحمد محمد, شكراً لاهتمامك",
    )
    (mail,) = server.messages
    assert mail.recipients == ("ahmed@example.com",)
    assert mail.sender == "hello@mirsal.example"
    assert mail.subject.encode() == "مرحباً أحمد محمد".encode()
    assert mail.text.encode() == "عزيزي أحمد محمد, شكراً لاهتمامك".encode()
    assert b"\r\nSubject: =?utf-8?B?" in mail.content
    assert result.to_json() == (
        b'{"messageId":"<' + COMMAND_ID.encode() + b'@mirsal.example>",'
        b'"accepted":["ahmed@example.com"],"response":"250 2.0.0 OK"}'
    )
    assert mail.message_id == result.message_id


async def test_everybody_gets_the_mail_and_nobody_sees_bcc(
    server: SmtpSimulator, open_mailer: OpenMailer
) -> None:
    result = await send(
        open_mailer(server.port), cc=["b@example.com"], bcc=["c@example.com", "b@example.com"]
    )
    (mail,) = server.messages
    expected = ("ahmed@example.com", "b@example.com", "c@example.com")
    assert mail.recipients == result.accepted == expected
    assert b"c@example.com" not in mail.content


async def test_lines_that_begin_with_dots_arrive(
    server: SmtpSimulator, open_mailer: OpenMailer
) -> None:
    body = "..\n.these lines begin with dots\n" * 5 + "."
    await send(open_mailer(server.port), body=body)
    assert b"\r\n.these" in server.messages[0].content
    assert server.messages[0].text == body


async def test_the_claim_comes_after_the_recipients_and_before_the_content(
    server: SmtpSimulator, open_mailer: OpenMailer
) -> None:
    server.fail_next("rcpt", 550, "5.1.1 no such user", match={"to": "b@example.com"})
    attempt = Attempt()
    with pytest.raises(PermanentError, match=r"the recipient \(cc\[0\]\): correct the address"):
        await send(open_mailer(server.port), attempt, cc=["b@example.com"])
    assert attempt.claims == 0
    assert not server.messages


async def test_a_refused_claim_sends_nothing_and_spares_the_connection(
    server: SmtpSimulator, open_mailer: OpenMailer
) -> None:
    mailer = open_mailer(server.port)
    with pytest.raises(ClaimRefused):
        await send(mailer, Attempt(refuse=True), to="first@example.com")
    assert not server.messages
    await send(mailer, to="second@example.com")
    assert server.messages[0].recipients == ("second@example.com",)


async def test_a_mail_larger_than_the_server_takes_is_refused_before_the_claim(
    open_mailer: OpenMailer,
) -> None:
    attempt = Attempt()
    async with SmtpSimulator(size_limit=1000) as server:
        with pytest.raises(PermanentError):
            await send(open_mailer(server.port), attempt, body="x" * 2000)
    assert attempt.claims == 0


async def test_internationalised_addresses(server: SmtpSimulator, open_mailer: OpenMailer) -> None:
    mailer = open_mailer(server.port)
    await send(mailer, to="sales@bücher.example")
    await send(mailer, to="أحمد@bücher.example", subject="مرحباً")
    first, second = server.messages
    assert (first.recipients, first.smtp_utf8) == (("sales@xn--bcher-kva.example",), False)
    assert (second.recipients, second.smtp_utf8) == (("أحمد@xn--bcher-kva.example",), True)
    assert second.subject == "مرحباً"
    assert "To: أحمد@xn--bcher-kva.example\r\n".encode() in second.content


async def test_nobody_is_reached_at_all(open_mailer: OpenMailer, unused_tcp_port: int) -> None:
    attempt = Attempt()
    with pytest.raises(RetryableError, match="cannot be reached"):
        await send(open_mailer(unused_tcp_port), attempt)
    assert attempt.claims == 0


def test_the_corpus_is_large() -> None:
    assert sum(case["outcome"] == "refused" for case in CASES) >= 40


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['field']}-{case['value'][:40]!a}")
async def test_header_injection(
    case: dict[str, str], server: SmtpSimulator, open_mailer: OpenMailer
) -> None:
    field, value = case["field"], case["value"]
    attempt = Attempt()
    sending = send(open_mailer(server.port), attempt, **{field: value})
    if case["outcome"] == "refused":
        with pytest.raises(PermanentError) as refused:
            await sending
        assert refused.value.code in ("invalid_header", "invalid_address")
        assert refused.value.message.startswith(f"{field} ")
        assert attempt.claims == 0
        assert not server.messages
        return
    await sending
    (mail,) = server.messages
    assert mail.recipients == ("ahmed@example.com",)
    names = [name for name, _ in mail.reading.headers]
    assert len(names) == len(set(names))
    assert set(names) <= FIELDS
    assert [each.address for each in mail.reading.sender] == ["hello@mirsal.example"]
    assert [each.address for each in mail.reading.to] == ["ahmed@example.com"]
    assert mail.text == "b"
    shown = {
        "subject": mail.subject,
        "fromName": mail.reading.sender[0].name,
        "to": str(mail.reading.to[0]),
    }[field]
    assert shown.replace('"', "") == value.replace('"', "")
