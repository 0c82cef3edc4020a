"""The inbox pages as HTML text: a list, a mail, and a mail's own HTML. Everything is escaped here.

The interface reads from left to right; every piece of mail finds its own direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mirsal_testing.simulators.smtp.mailbox import ReceivedMail
    from mirsal_testing.simulators.smtp.reading import Address, Reading

STYLE = files(__package__).joinpath("style.css").read_text(encoding="utf-8")
REFRESH_SECONDS = 5
SNIPPET_LENGTH = 140
VIEWS = ("html", "text", "headers", "source")

PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
BODY_POLICY = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"
)


@dataclass(frozen=True)
class ListPage:
    """One page of the list, or what a search found."""

    mails: Sequence[ReceivedMail]
    total: int
    address: str
    query: str = ""
    number: int = 1
    has_older: bool = False


def _layout(title: str, query: str, content: str, head: str = "") -> str:
    return (
        "<!doctype html>\n"
        '<html lang="en" dir="ltr"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="stylesheet" href="/style.css">{head}</head>'
        '<body><header class="bar"><a class="brand" href="/">Mirsal inbox</a>'
        '<form class="search" role="search" action="/" method="get">'
        '<input type="search" name="q" dir="auto" aria-label="Search mails" '
        f'placeholder="Search subject, people and text" value="{escape(query)}"></form>'
        '<form action="/clear" method="post"><button>Delete all</button></form></header>'
        f"<main>{content}</main></body></html>"
    )


def render_list(page: ListPage) -> str:
    # Searching and turning pages stand still; the first page follows what arrives.
    follows = not page.query and page.number == 1
    refresh = f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">' if follows else ""
    if page.query:
        note = f"{len(page.mails)} found for <bdi>{escape(page.query)}</bdi>"
    else:
        note = f"{page.total} mail{'' if page.total == 1 else 's'}, newest first"
    rows = "".join(_row(mail) for mail in page.mails)
    listed = f'<ol class="mails card">{rows}</ol>' if rows else _nothing(page)
    content = f'<p class="note">{note}</p>{listed}{_pager(page)}'
    return _layout(f"Inbox ({page.total})", page.query, content, refresh)


def _nothing(page: ListPage) -> str:
    hint = "Nothing found." if page.query else f"No mail yet. Send some to {escape(page.address)}."
    return f'<p class="empty card">{hint}</p>'


def _pager(page: ListPage) -> str:
    def link(number: int, label: str) -> str:
        return f'<a href="/?{urlencode({"page": number})}">{label}</a>'

    newer = link(page.number - 1, "Newer") if page.number > 1 else "<span></span>"
    older = link(page.number + 1, "Older") if page.has_older else ""
    return f'<nav class="pages" aria-label="Pages">{newer}{older}</nav>'


def _row(mail: ReceivedMail) -> str:
    reading = mail.reading
    recipients = reading.to or ()
    name = recipients[0].name if recipients else ""
    mailbox = ", ".join(mail.recipients)
    shown = name or mailbox
    face = next((char for char in shown if char.isalnum()), "?").upper()
    snippet = " ".join((reading.text or "").split())[:SNIPPET_LENGTH]
    subject = escape(reading.subject) or "(no subject)"
    return (
        f'<li><a class="row" href="/mail/{mail.sequence}">'
        f'<span class="face" aria-hidden="true">{escape(face)}</span>'
        f'<span class="who" dir="auto">{escape(shown)}</span>'
        f'<span class="subject" dir="auto">{subject}</span>'
        f'<span class="mailbox" dir="ltr">{escape(mailbox) if name else ""}</span>'
        f'<span class="snippet" dir="auto">{escape(snippet)}</span>{_time(mail)}</a></li>'
    )


def _time(mail: ReceivedMail) -> str:
    arrived = mail.arrived_at
    return (
        f'<time class="when" datetime="{arrived.isoformat()}">'
        f'<span class="day">{arrived:%d %b} </span>{arrived:%H:%M:%S}'
        '<span class="day"> UTC</span></time>'
    )


def render_mail(mail: ReceivedMail, view: str, total: int) -> str:
    """`view` is one of VIEWS; where the mail has no HTML, `html` shows the text."""
    reading = mail.reading
    if view == "html" and not reading.html:
        view = "text"
    tabs = "".join(_tab(mail, name, view) for name in VIEWS if name != "html" or reading.html)
    content = (
        f'{_neighbours(mail, total)}<article class="card mail">'
        f'<h1 dir="auto">{escape(reading.subject) or "(no subject)"}</h1>'
        f'<dl class="facts">{_facts(mail, reading)}</dl>'
        f'<nav class="tabs" aria-label="Views">{tabs}</nav>'
        f'<div class="body">{_view(mail, reading, view)}</div></article>'
    )
    return _layout(reading.subject or "(no subject)", "", content)


def _neighbours(mail: ReceivedMail, total: int) -> str:
    newer = f'<a href="/mail/{mail.sequence + 1}">Newer</a>' if mail.sequence < total else ""
    older = f'<a href="/mail/{mail.sequence - 1}">Older</a>' if mail.sequence > 1 else ""
    return (
        f'<nav class="pages" aria-label="Mails"><a href="/">All mails</a>'
        f"<span>{newer} {older}</span></nav>"
    )


def _tab(mail: ReceivedMail, name: str, current: str) -> str:
    mark = ' aria-current="page"' if name == current else ""
    label = "HTML" if name == "html" else name.capitalize()
    return f'<a href="/mail/{mail.sequence}?view={name}"{mark}>{label}</a>'


def _facts(mail: ReceivedMail, reading: Reading) -> str:
    badges = ["TLS"] if mail.tls else []
    if mail.user is not None:
        badges.append(f"logged in as {mail.user}")
    if mail.smtp_utf8:
        badges.append("SMTPUTF8")
    facts = [
        ("From", _people(reading.sender)),
        ("To", _people(reading.to)),
        ("Cc", _people(reading.cc)),
        ("Arrived", _time(mail)),
        ("Envelope", _envelope(mail)),
        ("Message ID", _ltr(mail.message_id or "")),
        ("Session", " ".join(f'<span class="badge">{escape(badge)}</span>' for badge in badges)),
        ("Attached", _attachments(mail, reading)),
    ]
    return "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts if value)


def _ltr(text: str) -> str:
    return f'<bdi dir="ltr">{escape(text)}</bdi>' if text else ""


def _people(people: Iterable[Address]) -> str:
    return ", ".join(
        f"<bdi>{escape(person.name)}</bdi> {_ltr(f'<{person.address}>')}"
        if person.name
        else _ltr(person.address)
        for person in people
    )


def _envelope(mail: ReceivedMail) -> str:
    recipients = ", ".join(_ltr(address) for address in mail.recipients)
    return f"{_ltr(mail.sender)} → {recipients}"


def _attachments(mail: ReceivedMail, reading: Reading) -> str:
    return ", ".join(
        f'<a href="/attachment/{mail.sequence}?{urlencode({"part": index})}">'
        f"<bdi>{escape(each.name)}</bdi></a> ({len(each.content):,} bytes)"
        for index, each in enumerate(reading.attachments)
    )


def _view(mail: ReceivedMail, reading: Reading, view: str) -> str:
    if view == "html":
        return (
            f'<iframe sandbox src="/body/{mail.sequence}" title="The mail\'s HTML" '
            'referrerpolicy="no-referrer"></iframe>'
        )
    if view == "text":
        return f'<div class="text">{_paragraphs(reading.text)}</div>'
    if view == "headers":
        rows = "".join(
            f'<tr><th scope="row">{escape(name)}</th><td dir="auto">{escape(value)}</td></tr>'
            for name, value in reading.headers
        )
        return f'<table class="headers">{rows}</table>'
    source = mail.content.decode("utf-8", "replace")
    return f'<pre class="source" dir="ltr">{escape(source)}</pre>'


def _paragraphs(text: str) -> str:
    # One element for each line: within one element browsers mix up the brackets of lines of
    # different directions.
    return "".join(f'<p dir="auto">{escape(line)}</p>' for line in text.rstrip().split("\n"))


def disposition(file_name: str) -> str:
    """A Content-Disposition that makes a browser save, never show."""
    return f"attachment; filename*=UTF-8''{quote(file_name, safe='')}"
