"""The base direction of HTML."""

import time

import pytest
from email_worker.direction import direction_of, with_direction


@pytest.mark.parametrize(
    ("html", "direction"),
    [
        ("<p>عزيزي أحمد</p>", "rtl"),
        ("<p>سلام زهرا</p>", "rtl"),
        ("<p>שלום</p>", "rtl"),
        ("<p>123, (!) عزيزي Ahmed</p>", "rtl"),
        ("<p>Dear أحمد</p>", "auto"),
        ("<p>Sayın Çağrı</p>", "auto"),
        ("<p>123</p>", "auto"),
        ("", "auto"),
        ("&#1605;&#1585;", "rtl"),
        ("&rlm;Ahmed", "rtl"),
        ("<!-- an English comment -->مرحباً", "rtl"),
        ("<style>p { color: red }</style><p>مرحباً</p>", "rtl"),
        ("<html><head><title>English</title></head><body>مرحباً</body></html>", "rtl"),
        ('<a href="https://example.com">مرحباً</a>', "rtl"),
        ("<!-- never closed مرحباً", "auto"),
    ],
)
def test_first_strong_character_that_is_seen_decides(html: str, direction: str) -> None:
    assert direction_of(html) == direction


def test_fragment_is_wrapped() -> None:
    assert with_direction("<p>مرحباً</p>") == '<div dir="rtl"><p>مرحباً</p></div>'


def test_document_is_wrapped_within_its_body() -> None:
    html = "<!DOCTYPE html><HTML><head><title>x</title></head><BODY class='a'>İ مرحباً</BODY></HTML>"
    assert with_direction(html) == (
        "<!DOCTYPE html><HTML><head><title>x</title></head><BODY class='a'>"
        '<div dir="auto">İ مرحباً</div></BODY></HTML>'
    )


def test_document_without_a_body_element_is_wrapped_after_its_head() -> None:
    html = "<html><head></head><p>مرحباً</p></html>"
    assert with_direction(html) == ('<html><head></head><div dir="rtl"><p>مرحباً</p></div></html>')


@pytest.mark.parametrize(
    "html",
    [
        '<div dir="ltr">مرحباً</div>',
        "<p class=x DIR = rtl>مرحباً</p>",
        '<body style="direction: rtl">مرحباً</body>',
    ],
)
def test_author_who_sets_a_direction_keeps_it(html: str) -> None:
    assert with_direction(html) == html


@pytest.mark.parametrize("piece", ["<style", "<!--", "<a ", "<body", "<", "</head", "<a dir", "< "])
def test_html_that_never_ends_costs_no_more_than_its_length(piece: str) -> None:
    """Half a megabyte of it took minutes with patterns that look at the same text again."""
    started = time.process_time()
    with_direction(piece * (500_000 // len(piece)))
    assert time.process_time() - started < 5
