"""The base direction of HTML: which way a mail reads when its author did not say. Pure."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Literal
from unicodedata import bidirectional

# Bounded by `<` and `>`, so that no HTML makes these look at the same text again and again.
_SAYS_DIRECTION = re.compile(r"<[a-z][^<>]*?\sdir\s*=|direction\s*:\s*(?:rtl|ltr)", re.IGNORECASE)
_BEGINNINGS = (
    re.compile(r"<body\b[^<>]*>", re.IGNORECASE),
    re.compile(r"</head>", re.IGNORECASE),
    re.compile(r"<html\b[^<>]*>", re.IGNORECASE),
)
_ENDING = re.compile(r"</(?:body|html)\b", re.IGNORECASE)
_UNSEEN = re.compile(r"<(head|style|script|title)\b", re.IGNORECASE)


def with_direction(html: str) -> str:
    """Wrap the content in an element with `dir`, unless the author set a direction somewhere.

    `rtl` where the first strong character (Unicode's bidirectional classes) reads from right to
    left; else `auto`, by which the client looks for itself.
    """
    if _SAYS_DIRECTION.search(html):
        return html
    start = next((found.end() for each in _BEGINNINGS if (found := each.search(html))), 0)
    ending = _ENDING.search(html, start)
    end = ending.start() if ending else len(html)
    return f'{html[:start]}<div dir="{direction_of(html)}">{html[start:end]}</div>{html[end:]}'


def direction_of(html: str) -> Literal["rtl", "auto"]:
    """What the first strong character that a reader sees says."""
    for text in _visible_texts(html):
        for character in unescape(text):
            strength = bidirectional(character)
            if strength in ("R", "AL"):
                return "rtl"
            if strength == "L":
                return "auto"
    return "auto"


def _visible_texts(html: str) -> Iterator[str]:
    position = 0
    while position < len(html):
        tag = html.find("<", position)
        if tag < 0:
            tag = len(html)
        yield html[position:tag]
        position = _after_tag(html, tag)


def _after_tag(html: str, tag: int) -> int:
    """Where the text goes on; at the end of `html` if what began at `tag` never ends."""
    ending = ">"
    if html.startswith("<!--", tag):
        ending = "-->"
    elif unseen := _UNSEEN.match(html, tag):
        closed = re.compile(rf"</{unseen[1]}[^<>]*>", re.IGNORECASE).search(html, tag)
        return closed.end() if closed else len(html)
    found = html.find(ending, tag)
    return len(html) if found < 0 else found + len(ending)
