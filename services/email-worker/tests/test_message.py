"""The built mail: what readers see, and what goes over the wire."""

from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast

import pytest
from email_worker.addresses import Mailbox
from email_worker.message import Mail, build_mail
from email_worker.params import EmailParams
from hypothesis import given
from hypothesis import strategies as st
from mirsal_runtime.failures import PermanentError

SENDER = Mailbox("مرسال", "hello@mirsal.example")
COMMAND_ID = "0198c0de-0000-8000-8000-000000000001.1"
NOW = datetime(2026, 11, 22, 13, 45, tzinfo=UTC)


def build(**config: Any) -> Mail:
    params = EmailParams.model_validate(
        {"to": "ahmed@example.com", "subject": "s", "body": "b", **config}
    )
    return build_mail(params, sender=SENDER, command_id=COMMAND_ID, now=NOW)


def parse(mail: Mail) -> EmailMessage:
    return message_from_bytes(mail.content, policy=default)


def text_of(message: EmailMessage) -> str:
    return cast("bytes", message.get_payload(decode=True)).decode()


def test_headers() -> None:
    mail = build(
        to="أحمد <ahmed@example.com>",
        cc=["b@example.com", "C <c@example.com>"],
        bcc="hidden@example.com",
        replyTo="help@mirsal.example",
        fromName="فريق الدعم",
        subject="مرحباً",
    )
    message = parse(mail)
    assert message["From"] == "فريق الدعم <hello@mirsal.example>"
    assert message["To"] == "أحمد <ahmed@example.com>"
    assert message["Cc"] == "b@example.com, C <c@example.com>"
    assert message["Reply-To"] == "help@mirsal.example"
    assert message["Subject"] == "مرحباً"
    assert message["Date"] == "Sun, 22 Nov 2026 13:45:00 +0000"
    assert message["Message-ID"] == f"<{COMMAND_ID}@mirsal.example>"
    assert message["MIME-Version"] == "1.0"
    assert "Bcc" not in message
    assert b"hidden@" not in mail.content
    assert [tuple(recipient) for recipient in mail.recipients] == [
        ("to", "ahmed@example.com"),
        ("cc[0]", "b@example.com"),
        ("cc[1]", "c@example.com"),
        ("bcc", "hidden@example.com"),
    ]


def test_an_address_named_twice_gets_one_mail() -> None:
    mail = build(cc=["Ahmed@EXAMPLE.com"], bcc=["b@example.com", "B@example.com"])
    assert [tuple(each) for each in mail.recipients] == [
        ("to", "ahmed@example.com"),
        ("bcc[0]", "b@example.com"),
    ]


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        ("عزيزي أحمد محمد, شكراً لاهتمامك", "base64"),
        ("سلام زهرا 😀", "base64"),
        ("Sayın Çağrı, siparişiniz yola çıktı", "base64"),
        ("Your order from the café is on its way to you", "quoted-printable"),
        ("Plain English", "quoted-printable"),
        ("", "quoted-printable"),
        (".\r\n..\r\nlines of dots\r\n.", "quoted-printable"),
        ("From here\r\ntrailing space \r\n\ttab\r\n", "quoted-printable"),
        ("x" * 5000, "quoted-printable"),
        ("ends with an equals sign=", "quoted-printable"),
    ],
)
def test_text_alone(body: str, encoding: str) -> None:
    mail = build(body=body)
    message = parse(mail)
    assert message.get_content_type() == "text/plain"
    assert message["Content-Transfer-Encoding"] == encoding
    assert text_of(message) == body


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400).filter(str.strip))
def test_any_text_arrives_as_written_but_for_its_line_ends(body: str) -> None:
    canonical = body.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    mail = build(body=body, html=f"x{body}")
    plain, html = cast("list[EmailMessage]", parse(mail).get_payload())
    assert text_of(plain) == canonical
    assert text_of(html).removesuffix("</div>").endswith(canonical)
    assert text_of(parse(build(body=body))) == canonical
    assert mail.content.isascii()
    assert all(len(line) <= 78 for line in mail.content.split(b"\r\n"))
    assert b"\n" not in mail.content.replace(b"\r\n", b"")


def test_text_and_html_are_alternatives() -> None:
    message = parse(build(body="عزيزي أحمد", html="<p>عزيزي <b>أحمد</b></p>"))
    assert message.get_content_type() == "multipart/alternative"
    plain, html = cast("list[EmailMessage]", message.get_payload())
    assert (plain.get_content_type(), text_of(plain)) == ("text/plain", "عزيزي أحمد")
    assert html.get_content_type() == "text/html"
    assert text_of(html) == '<div dir="rtl"><p>عزيزي <b>أحمد</b></p></div>'


def test_html_without_a_text_stands_alone() -> None:
    message = parse(build(body=" ", html="<p>Hello</p>"))
    assert message.get_content_type() == "text/html"
    assert text_of(message) == '<div dir="auto"><p>Hello</p></div>'


def test_what_a_template_left_blank_is_left_out() -> None:
    blank = {"html": " ", "cc": ["", "b@example.com"], "bcc": "", "replyTo": "", "fromName": "\n"}
    mail = build(**blank)
    message = parse(mail)
    assert message.get_content_type() == "text/plain"
    assert message["From"] == "مرسال <hello@mirsal.example>"
    assert message["Cc"] == "b@example.com"
    assert "Reply-To" not in message
    with pytest.raises(PermanentError, match="missing_recipient"):
        build(to=" ")


def test_the_same_command_builds_the_same_mail() -> None:
    assert build(html="<p>x</p>") == build(html="<p>x</p>")


def test_no_recipient() -> None:
    with pytest.raises(PermanentError) as missing:
        build(to=None)
    assert missing.value.code == "missing_recipient"


def test_non_ascii_local_part_is_written_as_it_is() -> None:
    mail = build(to="أحمد محمد <أحمد@example.com>")
    assert mail.utf8_field == "to"
    assert (
        "To: =?utf-8?B?2KPYrdmF2K8g2YXYrdmF2K8=?= <أحمد@example.com>\r\n".encode() in mail.content
    )
