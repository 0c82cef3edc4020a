"""Finding mails by their words, as people search: case, accents and Arabic vowel signs aside."""

from __future__ import annotations

import asyncio
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mirsal_testing.simulators.smtp.mailbox import Mailbox, ReceivedMail

PAUSE_AFTER = 16
"""Mails read at a stretch: reading one takes up to some milliseconds, and mails keep coming."""


def fold(text: str) -> str:
    """For comparing only: مرحبًا equals مرحبا, أحمد equals احمد, ÉTÉ equals ete."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char)).casefold()


def mentions(mail: ReceivedMail, folded_words: list[str]) -> bool:
    """Whether all words are in subject, people, envelope or text."""
    reading = mail.reading
    people = [str(address) for address in (*reading.sender, *reading.to, *reading.cc)]
    haystack = fold(
        "\n".join(
            [reading.subject, *people, mail.sender, *mail.recipients, reading.text, reading.html]
        )
    )
    return all(word in haystack for word in folded_words)


async def search(mailbox: Mailbox, query: str, limit: int) -> list[ReceivedMail]:
    """The newest mails with all words of the query, newest first."""
    words = fold(query).split()
    found: list[ReceivedMail] = []
    for index, mail in enumerate(list(reversed(mailbox.mails))):
        if index % PAUSE_AFTER == 0:
            await asyncio.sleep(0)
        if mentions(mail, words):
            found.append(mail)
            if len(found) == limit:
                break
    return found
