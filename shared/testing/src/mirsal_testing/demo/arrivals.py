"""What arrived at the simulators since the demo began, by the execution that sent it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirsal_testing.simulators.smtp.client import InboxClient, InboxMail
    from mirsal_testing.simulators.whatsapp.client import ReceivedMessage, WhatsAppSimulatorClient


@dataclass(frozen=True)
class Arrived:
    """Messages by execution id; what other runs sent meanwhile is under ids of their own."""

    mails: Mapping[str, list[InboxMail]]
    chats: Mapping[str, list[ReceivedMessage]]


def execution_of(command_id: str | None) -> str:
    """The execution that a command id (or a Message-ID made from it) belongs to."""
    return (command_id or "").strip("<>").partition("@")[0].rpartition(".")[0]


class Judge:
    """Asks the simulators. Counts from when it was made to look the first time."""

    def __init__(self, inbox: InboxClient, whatsapp: WhatsAppSimulatorClient) -> None:
        self._inbox = inbox
        self._whatsapp = whatsapp
        self._mails_before = 0
        self._chats_before = 0

    async def begin(self) -> None:
        """Forget what has arrived so far."""
        self._mails_before, self._chats_before = await self._totals()

    async def count(self) -> tuple[int, int]:
        """How many e-mails and WhatsApp messages arrived since; cheap."""
        mails, chats = await self._totals()
        return mails - self._mails_before, chats - self._chats_before

    async def read(self) -> Arrived:
        """All that arrived since."""
        mails: dict[str, list[InboxMail]] = defaultdict(list)
        for mail in await self._inbox.messages(since=self._mails_before):
            mails[execution_of(mail.message_id)].append(mail)
        chats: dict[str, list[ReceivedMessage]] = defaultdict(list)
        for chat in await self._whatsapp.messages(since=self._chats_before):
            chats[execution_of(chat.callback_data)].append(chat)
        return Arrived(mails, chats)

    async def _totals(self) -> tuple[int, int]:
        inbox, whatsapp = await self._inbox.summary(), await self._whatsapp.summary()
        return int(inbox["messages"]), int(whatsapp["messages"])
