"""Header values: read back by Python's parser, and checked raw against RFC 2047 and RFC 5322."""

import re
from email import message_from_bytes
from email.header import decode_header, make_header
from email.policy import compat32, default
from email.utils import parseaddr

import pytest
from email_worker.addresses import Mailbox
from email_worker.headers import encode_mailboxes, encode_text
from hypothesis import example, given
from hypothesis import strategies as st

ENCODED_WORD = re.compile(r"=\?utf-8\?B\?[A-Za-z0-9+/]+=*\?=")
ADDRESS = "ahmed@example.com"
SUBJECTS = [
    "مرحباً أحمد محمد",
    "مرحباً أحمد محمد، شكراً لاهتمامك بعروضنا الجديدة في مدينة الرياض هذا الأسبوع 😀🎉",
    "سلام خانم زهرا، از علاقه‌مندی شما سپاسگزاریم",
    "Sayın Çağrı Öztürk, ilginiz için teşekkür ederiz: İĞÜŞÖÇ ığüşöç",
    "👨‍👩‍👧‍👦" * 20,
    "é" * 200,
    "Plain English",
    "A plain English subject that goes on and on, so that it must be folded somewhere near here",
    "two  spaces and  a" + " long" * 40 + " tail",
    "=?utf-8?Q?not=20an=20encoded=20word?=",
    "x" * 500,
    " spaces around ",
    "tab\there",
    "",
]
# What people type; control characters are refused before a header is written.
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=300)


def read_back(name: str, value: str) -> str:
    raw = f"{name}: {value}\r\n\r\n".encode()
    return str(message_from_bytes(raw, policy=default)[name])


def check_limits(name: str, value: str) -> None:
    for line in f"{name}: {value}".split("\r\n"):
        assert line.isascii()
        assert line.strip()
        words = ENCODED_WORD.findall(line)
        assert all(len(word) <= 75 for word in words)
        if words:
            assert len(line) <= 76
        assert len(line) <= 998
    assert not re.search(r"\r\n(?! )", value)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_subject_is_read_back_as_written(subject: str) -> None:
    value = encode_text(subject, len("Subject: "))
    check_limits("Subject", value)
    assert read_back("Subject", value) == subject


@given(TEXTS)
@example("a" * 66 + " b")
@example("=?" + "é" * 40)
def test_any_subject_is_read_back_as_written(subject: str) -> None:
    value = encode_text(subject, len("Subject: "))
    check_limits("Subject", value)
    assert read_back("Subject", value) == subject


def test_each_encoded_word_holds_whole_characters() -> None:
    value = encode_text("مرحباً😀" * 40, len("Subject: "))
    words = ENCODED_WORD.findall(value)
    assert len(words) > 5
    assert "".join(read_back("Subject", word) for word in words) == "مرحباً😀" * 40


def test_plain_subject_stays_readable() -> None:
    assert encode_text("Your order 17 is on its way", len("Subject: ")) == (
        "Your order 17 is on its way"
    )


@pytest.mark.parametrize(
    "name",
    [
        "أحمد محمد",
        "شركة الأفق للتجارة والاستثمار والتطوير العقاري المحدودة بالرياض",
        "زهرا احمدی",
        "Çağrı Öztürk",
        "Mohammed, Ahmed",
        'Ahmed "the sender" \\ Co.',
        "Ahmed Mohammed",
        "A rather long name of an English company with many words in it, Ltd.",
        "=?utf-8?Q?=3Cevil=40example.net=3E?=",
        "<evil@example.net>,",
    ],
)
def test_display_name_is_read_back_as_written(name: str) -> None:
    value = encode_mailboxes([Mailbox(name, ADDRESS)], len("From: "))
    check_limits("From", value)
    # Not `policy.default`: in Python 3.11 it puts a space between the words of a long name.
    raw = message_from_bytes(f"From: {value}\r\n\r\n".encode(), policy=compat32)["From"]
    phrase, address = parseaddr(raw)
    assert address == ADDRESS
    assert str(make_header(decode_header(phrase))) == name


@given(TEXTS.map(str.strip).filter(bool))
def test_no_display_name_adds_an_address(name: str) -> None:
    value = encode_mailboxes([Mailbox(name, ADDRESS)], len("From: "))
    check_limits("From", value)
    parsed = message_from_bytes(f"From: {value}\r\n\r\n".encode(), policy=default)["From"]
    assert [each.addr_spec for each in parsed.addresses] == [ADDRESS]


def test_address_list_has_a_line_for_each() -> None:
    mailboxes = [Mailbox("أحمد", "a@example.com"), Mailbox("", "b@example.com")]
    value = encode_mailboxes(mailboxes, len("Cc: "))
    assert value.count(",\r\n ") == 1
    parsed = message_from_bytes(f"Cc: {value}\r\n\r\n".encode(), policy=default)["Cc"]
    assert [each.addr_spec for each in parsed.addresses] == ["a@example.com", "b@example.com"]
