"""From the bytes of a mail to what its reader sees: decoded headers, text, HTML, attachments.

Nothing here raises for a broken mail: it shows what can be shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from email import message_from_bytes, policy
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import getaddresses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from email.message import Message


@dataclass(frozen=True, slots=True)
class Address:
    name: str
    address: str

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>" if self.name else self.address


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Reading:
    """Decoded. `html` and `text` are empty where the mail has no such part."""

    subject: str
    sender: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    text: str
    html: str
    attachments: tuple[Attachment, ...]
    headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> str | None:
        """The first header of that name, decoded."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


def read_mail(content: bytes) -> Reading:
    # compat32 leaves headers as they are; the newer policies raise on some broken ones.
    mail = message_from_bytes(content, policy=policy.compat32)
    raw = [(name, _unfold(str(value))) for name, value in mail.raw_items()]
    text, html, attachments = _read_parts(mail)
    return Reading(
        subject=next((decode_words(value) for name, value in raw if name.lower() == "subject"), ""),
        sender=_addresses(raw, "from"),
        to=_addresses(raw, "to"),
        cc=_addresses(raw, "cc"),
        text=text,
        html=html,
        attachments=attachments,
        headers=tuple((name, decode_words(value)) for name, value in raw),
    )


def _unfold(raw: str) -> str:
    """One line, with bytes outside ASCII (SMTPUTF8) as the UTF-8 that they are."""
    line = raw.replace("\r\n", "").replace("\n", "")
    return line.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()


def decode_words(raw: str) -> str:
    """Decodes RFC 2047 encoded words; what cannot be decoded stays as it was sent."""
    if "=?" not in raw:
        return raw
    try:
        pieces = decode_header(raw)
    except (HeaderParseError, ValueError):
        return raw
    return "".join(_decode_piece(piece, charset) for piece, charset in pieces)


def _decode_piece(piece: bytes | str, charset: str | None) -> str:
    if isinstance(piece, str):
        return piece
    if charset is None:
        # Between encoded words Python hands the plain text on as escaped bytes.
        return piece.decode("raw-unicode-escape")
    return _decode(piece, charset)


def _decode(content: bytes, charset: str | None) -> str:
    try:
        return content.decode(charset or "utf-8", "replace")
    except LookupError:
        return content.decode("utf-8", "replace")


def _addresses(raw: Iterable[tuple[str, str]], header: str) -> tuple[Address, ...]:
    # Taken apart before decoding: a decoded name may hold a comma.
    values = [value for name, value in raw if name.lower() == header]
    return tuple(
        Address(decode_words(name), address)
        for name, address in getaddresses(values)
        if name or address
    )


def _read_parts(
    mail: Message[str, str],
) -> tuple[str, str, tuple[Attachment, ...]]:
    text, html = "", ""
    attachments: list[Attachment] = []
    for part in mail.walk():
        if part.is_multipart():
            continue
        kind = part.get_content_type()
        content = _payload(part)
        name = part.get_filename()
        if name is None and kind == "text/plain" and not text:
            text = _decode(content, part.get_content_charset()).replace("\r\n", "\n")
        elif name is None and kind == "text/html" and not html:
            html = _decode(content, part.get_content_charset())
        else:
            attachments.append(Attachment(decode_words(name or kind), kind, content))
    return text, html, tuple(attachments)


def _payload(part: Message[str, str]) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""
