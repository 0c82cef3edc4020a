"""The inbox of the SMTP simulator: its JSON, its pages, and that no mail can break out of them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import formataddr
from typing import TYPE_CHECKING

import aiosmtplib
import httpx
import pytest
import pytest_asyncio
from mirsal_testing.simulators.smtp import InboxClient, ReceivedMail, SmtpSimulator
from mirsal_testing.simulators.smtp.search import PAUSE_AFTER, fold, search

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ATTACK = '"><script>alert(1)</script><b>'


@pytest_asyncio.fixture
async def inbox(smtp_simulator: SmtpSimulator) -> AsyncIterator[InboxClient]:
    async with InboxClient(smtp_simulator.inbox_url) as client:
        yield client


@pytest_asyncio.fixture
async def browser(smtp_simulator: SmtpSimulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=smtp_simulator.inbox_url, timeout=5, trust_env=False
    ) as client:
        yield client


def make_mail(
    subject: str, text: str, html: str | None = None, message_id: str = "<m@mirsal.test>"
) -> MIMEMultipart:
    mail = MIMEMultipart("alternative")
    mail["Subject"] = subject
    mail["From"] = "Mirsal <no-reply@mirsal.test>"
    mail["To"] = formataddr(("أحمد محمد", "ahmed@example.com"))
    mail["Message-ID"] = message_id
    mail.attach(MIMEText(text, "plain", "utf-8"))
    if html is not None:
        mail.attach(MIMEText(html, "html", "utf-8"))
    return mail


async def send(smtp: SmtpSimulator, *mails: MIMEMultipart, to: str = "ahmed@example.com") -> None:
    async with aiosmtplib.SMTP(
        hostname=smtp.host, port=smtp.port, timeout=5, use_tls=False, start_tls=False
    ) as client:
        for mail in mails:
            content = mail.as_bytes().replace(b"\n", b"\r\n")
            await client.sendmail("no-reply@mirsal.test", [to], content)


async def test_json_is_what_the_reader_sees(
    inbox: InboxClient, smtp_simulator: SmtpSimulator
) -> None:
    mail = make_mail("مرحباً أحمد", "عزيزي أحمد", "<p>عزيزي أحمد</p>")
    await send(smtp_simulator, mail)
    (found,) = await inbox.messages()
    assert (found.sequence, found.subject, found.text) == (1, "مرحباً أحمد", "عزيزي أحمد")
    assert found.html == "<p>عزيزي أحمد</p>"
    assert (found.sender, found.cc) == ("Mirsal <no-reply@mirsal.test>", "")
    assert found.to == "أحمد محمد <ahmed@example.com>"
    assert (found.envelope_from, found.envelope_to) == (
        "no-reply@mirsal.test",
        ("ahmed@example.com",),
    )
    assert found.message_id == "<m@mirsal.test>"
    assert found.raw == smtp_simulator.messages[0].content
    assert ("Subject", "مرحباً أحمد") in found.headers
    assert abs((datetime.now(UTC) - found.arrived_at).total_seconds()) < 60


async def test_mails_are_found_by_number_recipient_and_message_id(
    inbox: InboxClient, smtp_simulator: SmtpSimulator
) -> None:
    first, second = (make_mail("x", "x", message_id=f"<{n}@mirsal.test>") for n in (1, 2))
    await send(smtp_simulator, first, second)
    await send(smtp_simulator, second, to="b@example.com")
    assert [mail.sequence for mail in await inbox.messages(since=1)] == [2, 3]
    assert [mail.sequence for mail in await inbox.messages(to="b@example.com")] == [3]
    assert [mail.sequence for mail in await inbox.messages(message_id="<2@mirsal.test>")] == [2, 3]
    assert [each["messageId"] for each in await inbox.arrivals(since=2)] == ["<2@mirsal.test>"]
    assert await inbox.counts() == {"ahmed@example.com": 2, "b@example.com": 1}
    assert (await inbox.summary())["duplicates"] == {}


async def test_rules_and_reset_over_http(inbox: InboxClient, smtp_simulator: SmtpSimulator) -> None:
    await inbox.fail_next("rcpt", 450, "4.2.1 Slow down", match={"to": "ahmed@example.com"})
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
        await send(smtp_simulator, make_mail("x", "x"))
    await send(smtp_simulator, make_mail("x", "x"))
    assert (await inbox.wait_for_messages(1))["outcomes"] == {"rcpt 450": 1, "accepted": 1}
    assert [rule["applied"] for rule in await inbox.rules()] == [1]
    await inbox.reset()
    assert (await inbox.messages(), await inbox.rules()) == ([], [])
    assert (await inbox.summary())["messages"] == 0


async def test_list_shows_each_mail_in_its_own_direction(
    browser: httpx.AsyncClient, smtp_simulator: SmtpSimulator
) -> None:
    assert "No mail yet" in (await browser.get("/")).text
    await send(smtp_simulator, make_mail("مرحباً أحمد", "نص الرسالة"))
    page = await browser.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert '<span class="subject" dir="auto">مرحباً أحمد</span>' in page.text
    assert '<span class="who" dir="auto">أحمد محمد</span>' in page.text
    assert '<span class="mailbox" dir="ltr">ahmed@example.com</span>' in page.text
    assert "نص الرسالة" in page.text
    assert 'http-equiv="refresh"' in page.text
    assert 'http-equiv="refresh"' not in (await browser.get("/?q=x")).text


@pytest.mark.parametrize("view", ["html", "text", "headers", "source"])
async def test_no_view_lets_a_mail_break_out(
    browser: httpx.AsyncClient, smtp_simulator: SmtpSimulator, view: str
) -> None:
    mail = make_mail(ATTACK, ATTACK, f"<p>{ATTACK}</p>", message_id=f"<{ATTACK}>")
    mail.replace_header("To", formataddr((f"أ{ATTACK}", "ahmed@example.com")))
    attached = MIMEApplication(b"x", "pdf")
    attached.add_header("Content-Disposition", "attachment", filename=("utf-8", "", ATTACK))
    mail.attach(attached)
    await send(smtp_simulator, mail, to='"<script>"@example.com')
    for path in (f"/mail/1?view={view}", "/", f"/?q={ATTACK}"):
        page = await browser.get(path)
        assert page.status_code == 200
        assert "<script" not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_html_is_framed_without_scripts_or_remote_content(
    browser: httpx.AsyncClient, smtp_simulator: SmtpSimulator
) -> None:
    html = '<p dir="rtl">عزيزي أحمد</p><script>alert(1)</script>'
    await send(smtp_simulator, make_mail("x", "x", html))
    assert '<iframe sandbox src="/body/1"' in (await browser.get("/mail/1")).text
    body = await browser.get("/body/1")
    assert body.text == html
    policy = body.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script-src" not in policy
    assert body.headers["x-content-type-options"] == "nosniff"


async def test_mail_without_html_shows_its_text(
    browser: httpx.AsyncClient, smtp_simulator: SmtpSimulator
) -> None:
    await send(smtp_simulator, make_mail("x", "سطر أول\nsecond line"))
    page = (await browser.get("/mail/1")).text
    assert '<p dir="auto">سطر أول</p><p dir="auto">second line</p>' in page
    assert "iframe" not in page


async def test_attachment_is_saved_never_shown(
    browser: httpx.AsyncClient, smtp_simulator: SmtpSimulator
) -> None:
    mail = make_mail("x", "x")
    attached = MIMEApplication(b"<script>", "pdf")
    attached.add_header("Content-Disposition", "attachment", filename=("utf-8", "", "عرض.pdf"))
    mail.attach(attached)
    await send(smtp_simulator, mail)
    saved = await browser.get("/attachment/1?part=0")
    assert saved.content == b"<script>"
    assert saved.headers["content-type"] == "application/octet-stream"
    assert saved.headers["content-disposition"] == (
        "attachment; filename*=UTF-8''%D8%B9%D8%B1%D8%B6.pdf"
    )
    assert (await browser.get("/attachment/1?part=1")).status_code == 404


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("مرحبا", ["مرحباً أحمد"]),
        ("احمد مرحبا", ["مرحباً أحمد"]),
        ("ÉTÉ", ["Offre d'été"]),
        ("ahmed@example.com offre", ["Offre d'été"]),
        ("nothing", []),
    ],
)
async def test_search_as_people_type(
    browser: httpx.AsyncClient, smtp_simulator: SmtpSimulator, query: str, found: list[str]
) -> None:
    await send(smtp_simulator, make_mail("مرحباً أحمد", "x"), make_mail("Offre d'été", "x"))
    page = (await browser.get("/", params={"q": query})).text
    for subject in ("مرحباً أحمد", "Offre d'été"):
        shown = f'class="subject" dir="auto">{subject.replace(chr(39), "&#x27;")}<' in page
        assert shown == (subject in found)


def test_folding_keeps_different_letters_apart() -> None:
    assert fold("أَحْمَد") == fold("احمد")
    assert fold("سلام") != fold("شلام")
    assert fold("Straße") == fold("STRASSE")


async def test_long_lists_have_pages(
    browser: httpx.AsyncClient, smtp_simulator: SmtpSimulator
) -> None:
    await send(smtp_simulator, *(make_mail(f"mail {number}.", "x") for number in range(1, 62)))
    first, second = (await browser.get("/")).text, (await browser.get("/?page=2")).text
    assert "mail 61." in first
    assert "mail 12." in first
    assert "mail 11." not in first
    assert "mail 11." in second
    assert "mail 1." in second
    assert ("Older" in first, "Newer" in first) == (True, False)
    assert ("Older" in second, "Newer" in second) == (False, True)


async def test_delete_all_by_the_page(
    browser: httpx.AsyncClient, smtp_simulator: SmtpSimulator
) -> None:
    await send(smtp_simulator, make_mail("x", "x"))
    foreign = await browser.post("/clear", headers={"Sec-Fetch-Site": "cross-site"})
    assert (foreign.status_code, len(smtp_simulator.messages)) == (403, 1)
    answer = await browser.post("/clear", headers={"Sec-Fetch-Site": "same-origin"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert smtp_simulator.messages == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/mail/1", 404),
        ("/mail/x", 404),
        ("/body/9", 404),
        ("/favicon.ico", 404),
        ("/?page=x", 422),
        ("/simulator/messages?fields=nothing", 422),
        ("/health", 200),
        ("/style.css", 200),
    ],
)
async def test_other_paths(browser: httpx.AsyncClient, path: str, status: int) -> None:
    assert (await browser.get(path)).status_code == status


async def test_searching_lets_others_work(smtp_simulator: SmtpSimulator) -> None:
    for _ in range(100):
        mail = ReceivedMail(0.0, "a@mirsal.test", ("b@example.com",), b"Subject: x\r\n\r\n")
        smtp_simulator.mailbox.accept(mail)
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count_turns())
    assert await search(smtp_simulator.mailbox, "nothing", 10) == []
    counting.cancel()
    assert turns >= 100 // PAUSE_AFTER
