"""The SMTP simulator as a mail client meets it: real sessions, exact bytes, TLS and logins."""

from __future__ import annotations

from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

import aiosmtplib
import pytest
from mirsal_testing.simulators.smtp import SmtpSimulator
from mirsal_testing.simulators.smtp.certificate import Certificate, make_certificate

SUBJECT = "مرحباً أحمد محمد"
TEXT = "عزيزي أحمد محمد, شكراً لاهتمامك\n.سطر يبدأ بنقطة\n"
HTML = '<p dir="rtl">عزيزي أحمد محمد</p>'


def arabic_mail(message_id: str = "<c1@mirsal.test>") -> bytes:
    mail = MIMEMultipart("alternative")
    mail["Subject"] = Header(SUBJECT, "utf-8").encode()
    mail["From"] = "=?utf-8?b?2YXYsdiz2KfZhA==?= <no-reply@mirsal.test>"
    mail["To"] = "=?utf-8?q?=D8=A3=D8=AD=D9=85=D8=AF=2C_=D9=85=D8=AD=D9=85=D8=AF?= <a@example.com>"
    mail["Message-ID"] = message_id
    mail.attach(MIMEText(TEXT, "plain", "utf-8"))
    mail.attach(MIMEText(HTML, "html", "utf-8"))
    return mail.as_bytes().replace(b"\n", b"\r\n")


async def send(
    smtp: SmtpSimulator,
    content: bytes,
    recipients: tuple[str, ...] = ("a@example.com",),
    **options: Any,
) -> None:
    options = {"use_tls": False, "start_tls": False, **options}
    async with aiosmtplib.SMTP(hostname=smtp.host, port=smtp.port, timeout=5, **options) as client:
        await client.sendmail("no-reply@mirsal.test", list(recipients), content)


async def test_arabic_mail_is_kept_exactly_and_read_right(smtp_simulator: SmtpSimulator) -> None:
    content = arabic_mail()
    await send(smtp_simulator, content, ("a@example.com", "b@example.com"))
    (mail,) = smtp_simulator.messages
    assert mail.content == content
    assert mail.recipients == ("a@example.com", "b@example.com")
    assert (mail.sender, mail.message_id) == ("no-reply@mirsal.test", "<c1@mirsal.test>")
    assert mail.subject == SUBJECT
    assert mail.text == TEXT
    assert mail.html == HTML
    assert [str(person) for person in mail.reading.sender] == ["مرسال <no-reply@mirsal.test>"]
    (to,) = mail.reading.to
    assert (to.name, to.address) == ("أحمد, محمد", "a@example.com")
    assert mail.reading.header("subject") == SUBJECT


async def test_utf8_in_headers_and_addresses(smtp_simulator: SmtpSimulator) -> None:
    content = (
        "Subject: مرحباً بك\r\nTo: أحمد <أحمد@example.com>\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nسلام\r\n"
    ).encode()
    async with aiosmtplib.SMTP(
        hostname=smtp_simulator.host, port=smtp_simulator.port, use_tls=False, start_tls=False
    ) as client:
        await client.sendmail(
            "no-reply@mirsal.test",
            ["أحمد@example.com"],
            content,
            mail_options=["SMTPUTF8", "BODY=8BITMIME"],
        )
    (mail,) = smtp_simulator.messages
    assert mail.content == content
    assert mail.smtp_utf8
    assert mail.recipients == ("أحمد@example.com",)
    assert (mail.subject, mail.text) == ("مرحباً بك", "سلام\n")
    assert str(mail.reading.to[0]) == "أحمد <أحمد@example.com>"


async def test_one_connection_takes_many_mails(smtp_simulator: SmtpSimulator) -> None:
    async with aiosmtplib.SMTP(
        hostname=smtp_simulator.host, port=smtp_simulator.port, use_tls=False, start_tls=False
    ) as client:
        for number in range(3):
            await client.sendmail("x@mirsal.test", [f"a{number}@example.com"], arabic_mail())
    assert [mail.sequence for mail in smtp_simulator.messages] == [1, 2, 3]
    summary = smtp_simulator.mailbox.summary()
    assert (summary["messages"], summary["recipients"], summary["duplicates"]) == (3, 3, {})


async def test_the_same_message_id_twice_to_one_person_is_a_duplicate(
    smtp_simulator: SmtpSimulator,
) -> None:
    await send(smtp_simulator, arabic_mail(), ("a@example.com", "b@example.com"))
    await send(smtp_simulator, arabic_mail(), ("b@example.com",))
    await send(smtp_simulator, arabic_mail("<c2@mirsal.test>"), ("b@example.com",))
    duplicates = smtp_simulator.mailbox.summary()["duplicates"]
    assert duplicates == {"<c1@mirsal.test> b@example.com": 2}


async def test_too_large_is_refused_before_the_data() -> None:
    async with SmtpSimulator(size_limit=1000) as smtp:
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as refused:
            await send(smtp, arabic_mail() + b"x" * 1000)
        assert refused.value.code == 552
        assert smtp.messages == []


@pytest.mark.parametrize(
    ("raw", "subject", "text"),
    [
        (b"", "", ""),
        (b"no headers at all", "", "no headers at all"),
        (b"Subject: =?utf-8?b?!!!?= x\r\n\r\nbody", None, "body"),
        (b"Subject: =?nothing?q?=41?=\r\n\r\nbody", "A", "body"),
        (b"Subject: a\r\n b\r\n\r\nbody", "a b", "body"),
        (b"Subject: plain =?utf-8?b?2LPZhNin2YU=?= tail\r\n\r\n", "plain سلام tail", ""),
        (
            "Subject: أهلاً =?utf-8?b?2LPZhNin2YU=?=\r\n\r\n".encode(),
            "أهلاً سلام",
            "",
        ),
        (
            b"Content-Type: text/plain; charset=windows-1256\r\n\r\n\xe3\xd1\xcd\xc8\xc7",
            "",
            "مرحبا",
        ),
        (b"Content-Type: text/plain; charset=none\r\n\r\n\xd8\xb3", "", "س"),
        (b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nopen", "", "open"),
        (b'To: <<>>,,"\r\nSubject: \xff\xfe\r\n\r\n', "��", ""),
    ],
)
async def test_broken_mail_shows_what_can_be_shown(
    smtp_simulator: SmtpSimulator, raw: bytes, subject: str | None, text: str
) -> None:
    await send(smtp_simulator, raw)
    (mail,) = smtp_simulator.messages
    assert subject is None or mail.subject == subject
    assert mail.text.strip() == text


async def test_attachments_have_their_names(smtp_simulator: SmtpSimulator) -> None:
    mail = MIMEMultipart()
    mail.attach(MIMEText("انظر المرفق", "plain", "utf-8"))
    attached = MIMEText("a,b", "csv", "utf-8")
    attached.add_header("Content-Disposition", "attachment", filename=("utf-8", "", "عرض.csv"))
    mail.attach(attached)
    await send(smtp_simulator, mail.as_bytes())
    (received,) = smtp_simulator.messages
    (found,) = received.reading.attachments
    assert (found.name, found.content_type, found.content) == ("عرض.csv", "text/csv", b"a,b")
    assert received.text == "انظر المرفق"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


async def test_starttls_and_login(certificate: Certificate) -> None:
    async with SmtpSimulator(
        security="starttls",
        tls_context=certificate.server_context(),
        users={"mirsal": "كلمة"},
    ) as smtp:
        context = certificate.client_context()
        login: dict[str, Any] = {"username": "mirsal", "password": "كلمة"}
        await send(smtp, arabic_mail(), start_tls=True, tls_context=context, **login)
        with pytest.raises(aiosmtplib.SMTPSenderRefused, match="STARTTLS"):
            await send(smtp, arabic_mail())
        wrong = login | {"password": "x"}
        with pytest.raises(aiosmtplib.SMTPAuthenticationError) as refused:
            await send(smtp, arabic_mail(), start_tls=True, tls_context=context, **wrong)
        assert refused.value.code == 535
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as unknown:
            await send(smtp, arabic_mail(), start_tls=True, tls_context=context)
        assert unknown.value.code == 530
        (mail,) = smtp.messages
        assert (mail.tls, mail.user) == (True, "mirsal")


async def test_implicit_tls(certificate: Certificate) -> None:
    async with SmtpSimulator(security="tls", tls_context=certificate.server_context()) as smtp:
        await send(smtp, arabic_mail(), use_tls=True, tls_context=certificate.client_context())
        (mail,) = smtp.messages
        assert mail.tls


async def test_login_without_tls_is_taken_for_tests(smtp_simulator: SmtpSimulator) -> None:
    await send(smtp_simulator, arabic_mail(), username="any", password="any")
    (mail,) = smtp_simulator.messages
    assert (mail.tls, mail.user) == (False, "any")


def test_security_without_a_context_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="tls_context"):
        SmtpSimulator(security="tls")
