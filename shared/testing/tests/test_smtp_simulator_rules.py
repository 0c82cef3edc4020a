"""How the SMTP simulator misbehaves: what the client sees, and what counts as taken."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiosmtplib
import pytest
from mirsal_testing.simulators.rulebook import RuleBook
from mirsal_testing.simulators.smtp import SmtpRule, SmtpSimulator
from pydantic import ValidationError

MAIL = "Subject: مرحباً\r\n\r\nسلام\r\n".encode()


async def send(
    smtp: SmtpSimulator, *recipients: str, content: bytes = MAIL, seconds: float = 5
) -> dict[str, Any]:
    """Refused recipients with their replies, as aiosmtplib gives them."""
    async with aiosmtplib.SMTP(
        hostname=smtp.host, port=smtp.port, timeout=seconds, use_tls=False, start_tls=False
    ) as client:
        to = list(recipients) or ["a@example.com"]
        refused, _ = await client.sendmail("no-reply@mirsal.test", to, content)
        return refused


async def test_mail_is_refused_so_often_and_no_more(smtp_simulator: SmtpSimulator) -> None:
    text = "4.7.0 Try again later"
    rule = smtp_simulator.fail_next("mail", 450, text, times=2)
    for _ in range(2):
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as refused:
            await send(smtp_simulator)
        assert (refused.value.code, refused.value.message) == (450, text)
    await send(smtp_simulator)
    assert len(smtp_simulator.messages) == 1
    assert (rule.applied, rule.spent) == (2, True)
    outcomes = smtp_simulator.mailbox.summary()["outcomes"]
    assert outcomes == {"mail 450": 2, "accepted": 1}


async def test_one_recipient_is_refused_and_the_other_gets_it(
    smtp_simulator: SmtpSimulator,
) -> None:
    text = "5.1.1 The email account that you tried to reach does not exist"
    smtp_simulator.fail_next("rcpt", 550, text, match={"to": "Gone@example.com"}, times=5)
    refused = await send(smtp_simulator, "gone@example.com", "a@example.com")
    assert {address: reply[0] for address, reply in refused.items()} == {"gone@example.com": 550}
    (mail,) = smtp_simulator.messages
    assert mail.recipients == ("a@example.com",)


async def test_data_is_refused_for_its_recipient_or_text(smtp_simulator: SmtpSimulator) -> None:
    smtp_simulator.fail_next("data", 452, "4.2.2 Full", match={"to": "b@example.com"})
    smtp_simulator.fail_next("data", 550, "5.7.1 Policy", match={"textContains": "سلام"})
    with pytest.raises(aiosmtplib.SMTPDataError) as full:
        await send(smtp_simulator, "a@example.com", "b@example.com", content=b"x\r\n")
    with pytest.raises(aiosmtplib.SMTPDataError) as policy:
        await send(smtp_simulator)
    assert (full.value.code, policy.value.code) == (452, 550)
    assert smtp_simulator.messages == []


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
async def test_421_closes_the_connection(smtp_simulator: SmtpSimulator, stage: str) -> None:
    smtp_simulator.fail_next(stage, 421, "4.7.0 Closing")
    # The client tries PLAIN, then LOGIN.
    client = aiosmtplib.SMTP(
        hostname=smtp_simulator.host,
        port=smtp_simulator.port,
        timeout=5,
        use_tls=False,
        start_tls=False,
    )
    await client.connect()
    with pytest.raises(
        (aiosmtplib.SMTPResponseException, aiosmtplib.SMTPRecipientsRefused)
    ) as refused:
        await client.sendmail("no-reply@mirsal.test", ["a@example.com"], MAIL)
    assert "421" in str(refused.value)
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await client.noop()
    client.close()


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(("when", "taken"), [("before", 0), ("after", 1)])
async def test_drop_around_acceptance(
    smtp_simulator: SmtpSimulator, when: str, taken: int, reset: bool
) -> None:
    smtp_simulator.drop_next(when, reset=reset)
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await send(smtp_simulator)
    assert len(smtp_simulator.messages) == taken
    await send(smtp_simulator)
    assert len(smtp_simulator.messages) == taken + 1


@pytest.mark.parametrize("stage", ["mail", "rcpt"])
async def test_drop_before_the_data(smtp_simulator: SmtpSimulator, stage: str) -> None:
    smtp_simulator.rules.add({"stage": stage, "times": 1, "action": {"drop": "before"}})
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await send(smtp_simulator)
    assert smtp_simulator.messages == []


@pytest.mark.parametrize("accept", [False, True])
async def test_hang_after_the_data(smtp_simulator: SmtpSimulator, accept: bool) -> None:
    smtp_simulator.rules.add({"stage": "data", "action": {"hang": True, "accept": accept}})
    with pytest.raises(aiosmtplib.SMTPReadTimeoutError):
        await send(smtp_simulator, seconds=0.3)
    assert len(smtp_simulator.messages) == accept


async def test_an_accepted_mail_may_get_a_bad_reply(smtp_simulator: SmtpSimulator) -> None:
    reply = {"code": 451, "text": "4.3.0 Lost my mind"}
    smtp_simulator.rules.add({"stage": "data", "action": {"reply": reply, "accept": True}})
    with pytest.raises(aiosmtplib.SMTPDataError):
        await send(smtp_simulator)
    assert len(smtp_simulator.messages) == 1


async def test_delay_takes_the_mail_at_once_and_replies_late(
    smtp_simulator: SmtpSimulator,
) -> None:
    smtp_simulator.rules.add({"stage": "data", "action": {"delayMs": 200}})
    begun = time.monotonic()
    pending = asyncio.create_task(send(smtp_simulator))
    await smtp_simulator.wait_for_messages(1)
    assert not pending.done()
    await pending
    assert time.monotonic() - begun >= 0.2


async def test_login_refused_by_a_rule(smtp_simulator: SmtpSimulator) -> None:
    smtp_simulator.fail_next("auth", 454, "4.7.0 Temporary authentication failure", times=2)
    # The client tries PLAIN, then LOGIN.
    client = aiosmtplib.SMTP(
        hostname=smtp_simulator.host,
        port=smtp_simulator.port,
        timeout=5,
        use_tls=False,
        start_tls=False,
        username="a",
        password="b",
    )
    with pytest.raises(aiosmtplib.SMTPAuthenticationError) as refused:
        await client.connect()
    assert refused.value.code == 454
    await client.connect()
    await client.quit()


async def test_greeting_is_refused(smtp_simulator: SmtpSimulator) -> None:
    smtp_simulator.fail_next("greeting", 554, "5.3.2 Not now")
    with pytest.raises(aiosmtplib.SMTPConnectResponseError) as refused:
        await send(smtp_simulator)
    assert refused.value.code == 554
    await send(smtp_simulator)
    outcomes = smtp_simulator.mailbox.summary()["outcomes"]
    assert outcomes == {"greeting 554": 1, "accepted": 1}


@pytest.mark.parametrize("reset", [False, True])
async def test_connection_is_dropped_instead_of_greeted(
    smtp_simulator: SmtpSimulator, reset: bool
) -> None:
    action = {"drop": "before", "reset": reset}
    smtp_simulator.rules.add({"stage": "greeting", "times": 1, "action": action})
    with pytest.raises(aiosmtplib.SMTPException):
        await send(smtp_simulator)
    await send(smtp_simulator)


async def test_no_greeting_ever(smtp_simulator: SmtpSimulator) -> None:
    smtp_simulator.rules.add({"stage": "greeting", "action": {"hang": True}})
    with pytest.raises(aiosmtplib.SMTPConnectTimeoutError):
        await send(smtp_simulator, seconds=0.2)


async def test_late_greeting(smtp_simulator: SmtpSimulator) -> None:
    smtp_simulator.rules.add({"stage": "greeting", "action": {"delayMs": 150}})
    begun = time.monotonic()
    await send(smtp_simulator)
    assert time.monotonic() - begun >= 0.15
    assert len(smtp_simulator.messages) == 1


async def test_who_talks_before_the_late_greeting_is_heard(smtp_simulator: SmtpSimulator) -> None:
    smtp_simulator.rules.add({"stage": "greeting", "action": {"delayMs": 50}})
    reader, writer = await asyncio.open_connection(smtp_simulator.host, smtp_simulator.port)
    writer.write(b"HELO early\r\n")
    async with asyncio.timeout(5):
        assert (await reader.readline()).startswith(b"220 ")
        assert (await reader.readline()).startswith(b"250 ")
    writer.close()


async def test_match_by_sender(smtp_simulator: SmtpSimulator) -> None:
    smtp_simulator.fail_next("mail", 550, match={"from": "Other@mirsal.test"})
    await send(smtp_simulator)
    smtp_simulator.fail_next("mail", 550, match={"from": "No-Reply@mirsal.test"})
    with pytest.raises(aiosmtplib.SMTPSenderRefused):
        await send(smtp_simulator)


@pytest.mark.parametrize(
    "rule",
    [
        {"action": {"hang": True}},
        {"stage": "ehlo", "action": {"hang": True}},
        {"stage": "data", "action": {}},
        {"stage": "data", "action": {"hang": True, "drop": "after"}},
        {"stage": "rcpt", "action": {"drop": "after"}},
        {"stage": "mail", "match": {"to": "a@example.com"}, "action": {"hang": True}},
        {"stage": "greeting", "match": {"from": "a@example.com"}, "action": {"hang": True}},
        {"stage": "rcpt", "match": {"textContains": "x"}, "action": {"hang": True}},
        {"stage": "data", "action": {"reply": {"code": 99}}},
        {"stage": "data", "action": {"reply": {"code": 450, "text": "a\r\n250 b"}}},
        {"stage": "data", "action": {"close": True, "hang": True}},
    ],
)
def test_rules_that_make_no_sense_are_refused(rule: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RuleBook(SmtpRule).add(rule)
