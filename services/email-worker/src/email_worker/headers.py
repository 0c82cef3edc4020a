"""Header values for every client: RFC 2047 encoded words and folded lines. Pure.

`email.header` does the same at ten times the cost; it also leaves `=?...?=` in a value as it is,
which a client then decodes.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator

from email_worker.addresses import Mailbox

LINE_CHARACTERS = 76
WORD_CHARACTERS = 75
_START, _END = "=?utf-8?B?", "?="
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_PIECE = re.compile(r"\s*\S+")


def encode_text(text: str, column: int) -> str:
    """A free text (a subject) whose first line has `column` characters before it."""
    if _is_plain(text):
        return _folded(text, column)
    return _as_words(text, column)


def encode_mailboxes(mailboxes: Iterable[Mailbox], column: int) -> str:
    """An address list, one mailbox a line."""
    lines = []
    for mailbox in mailboxes:
        lines.append(_encode_mailbox(mailbox, column))
        column = 1
    return ",\r\n ".join(lines)


def _encode_mailbox(mailbox: Mailbox, column: int) -> str:
    if not mailbox.name:
        return mailbox.address
    phrase = _encode_phrase(mailbox.name, column)
    last = phrase.rpartition("\r\n")[2]
    used = len(last) + (column if last is phrase else 0)
    fits = used + len(mailbox.address) + 3 <= LINE_CHARACTERS
    return f"{phrase}{' ' if fits else chr(13) + chr(10) + ' '}<{mailbox.address}>"


def _encode_phrase(name: str, column: int) -> str:
    if not _is_plain(name) or len(name) > LINE_CHARACTERS // 2:
        return _as_words(name, column)
    if _ATOMS.fullmatch(name):
        return name
    escaped = re.sub(r'(["\\])', r"\\\1", name)
    return f'"{escaped}"'


def _is_plain(text: str) -> bool:
    """Whether `text` can stand as it is: ASCII that no client takes for an encoded word."""
    return (
        text.isascii()
        and text.isprintable()
        and "=?" not in text
        and text == text.strip()
        and all(len(piece) < LINE_CHARACTERS for piece in text.split(" "))
    )


def _folded(text: str, column: int) -> str:
    lines, line = [], ""
    for piece in _PIECE.findall(text):
        if line and column + len(line) + len(piece) > LINE_CHARACTERS:
            lines.append(line)
            line, column = "", 0
        line += piece
    return "\r\n".join([*lines, line])


def _as_words(text: str, column: int) -> str:
    return "\r\n ".join(
        _START + b64encode(part.encode("utf-8", "replace")).decode("ascii") + _END
        for part in _parts(text, column)
    )


def _parts(text: str, column: int) -> Iterator[str]:
    """Cut between characters, never within one, so that each part fits into one word."""
    room = _bytes_within(LINE_CHARACTERS - column)
    start = size = 0
    for index, character in enumerate(text):
        width = len(character.encode("utf-8", "replace"))
        if size + width > room:
            yield text[start:index]
            start, size, room = index, 0, _bytes_within(WORD_CHARACTERS)
        size += width
    yield text[start:]


def _bytes_within(characters: int) -> int:
    return (characters - len(_START) - len(_END)) // 4 * 3
