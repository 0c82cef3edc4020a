"""The mails that were accepted, in order. They are kept as bytes and read when somebody looks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from mirsal_testing.simulators.journal import Journal, Tally
from mirsal_testing.simulators.smtp.reading import Reading, read_mail

MESSAGE_ID = re.compile(rb"^message-id:[ \t]*(?:\r?\n[ \t]+)?(\S+)", re.IGNORECASE | re.MULTILINE)


@dataclass
class ReceivedMail:
    """One accepted mail. `content` is what came after DATA, dots undone, nothing else changed."""

    arrived: float
    sender: str
    recipients: tuple[str, ...]
    content: bytes
    tls: bool = False
    user: str | None = None
    smtp_utf8: bool = False
    sequence: int = 0

    @property
    def arrived_at(self) -> datetime:
        return datetime.fromtimestamp(self.arrived, UTC)

    @cached_property
    def message_id(self) -> str | None:
        """With its angle brackets. Found without parsing the mail."""
        head = self.content.partition(b"\r\n\r\n")[0]
        found = MESSAGE_ID.search(head)
        return found[1].decode("utf-8", "replace") if found else None

    @cached_property
    def reading(self) -> Reading:
        """The mail as its reader sees it. Parsed once, when first asked for."""
        return read_mail(self.content)

    @property
    def subject(self) -> str:
        return self.reading.subject

    @property
    def text(self) -> str:
        return self.reading.text

    @property
    def html(self) -> str:
        return self.reading.html


class Mailbox:
    """All accepted mails since the start or the last reset; with `keep`, the newest only."""

    def __init__(self, keep: int = 0) -> None:
        self.mails: Journal[ReceivedMail] = Journal(keep)
        self.by_recipient = Tally()
        self._by_message_id = Tally()
        self._replies = Tally()

    def accept(self, mail: ReceivedMail) -> None:
        self.mails.append(mail)
        mail.sequence = self.mails.total
        for recipient in mail.recipients:
            self.by_recipient.add(recipient)
            if mail.message_id is not None:
                self._by_message_id.add(f"{mail.message_id} {recipient}")

    def count(self, outcome: str) -> None:
        """Counts how a step of a session ended, where a rule ended it, and accepted mails."""
        self._replies.add(outcome)

    def clear(self) -> None:
        for part in (self.mails, self.by_recipient, self._by_message_id, self._replies):
            part.clear()

    def summary(self) -> dict[str, object]:
        """Counts. `duplicates`: message id and recipient that came more than once."""
        last: ReceivedMail | None = self.mails.get(self.mails.total)
        return {
            "messages": self.mails.total,
            "outcomes": dict(self._replies.counts),
            "recipients": len(self.by_recipient),
            "duplicates": dict(self._by_message_id.repeated),
            "lastArrivedAt": last.arrived_at if last else None,
        }

    def newest(self, skip: int, limit: int) -> list[ReceivedMail]:
        """Newest first; `skip` counts from the newest."""
        last = self.mails.total - skip
        numbers = range(last, max(0, last - limit), -1)
        return [mail for number in numbers if (mail := self.mails.get(number)) is not None]
