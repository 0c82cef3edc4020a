"""What arrived at the simulators since the demo began, by the execution that sent it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mirsal_testing.demo.story import DemoWorkflow
    from mirsal_testing.simulators.sheets.client import SheetsSimulatorClient
    from mirsal_testing.simulators.smtp.client import InboxClient, InboxMail
    from mirsal_testing.simulators.whatsapp.client import ReceivedMessage, WhatsAppSimulatorClient

    Row = Mapping[str, object]

# The connector's own hidden column: it holds the execution's id.
ROW_KEY = "_mirsal_row_key"


@dataclass(frozen=True)
class Arrived:
    """Messages and rows by execution id; those of other runs are under ids of their own."""

    mails: Mapping[str, list[InboxMail]]
    chats: Mapping[str, list[ReceivedMessage]]
    rows: Mapping[str, list[Row]]


def execution_of(command_id: str | None) -> str:
    """The execution that a command id (or a Message-ID made from it) belongs to."""
    return (command_id or "").strip("<>").partition("@")[0].rpartition(".")[0]


class Judge:
    """Asks the simulators. Counts from when it was made to look the first time."""

    def __init__(
        self,
        inbox: InboxClient,
        whatsapp: WhatsAppSimulatorClient,
        sheets: SheetsSimulatorClient,
        workflow: DemoWorkflow,
    ) -> None:
        self._inbox = inbox
        self._whatsapp = whatsapp
        self._sheets = sheets
        self._workflow = workflow
        self._before = (0, 0, 0)

    async def begin(self) -> None:
        """Forget what has arrived so far."""
        self._before = await self._totals()

    async def count(self) -> int:
        """How many e-mails, WhatsApp messages and rows arrived since; cheap."""
        return sum(await self._totals()) - sum(self._before)

    async def read(self) -> Arrived:
        """All that arrived since, and all rows."""
        mails_before, chats_before, _ = self._before
        mails: dict[str, list[InboxMail]] = defaultdict(list)
        for mail in await self._inbox.messages(since=mails_before):
            mails[execution_of(mail.message_id)].append(mail)
        chats: dict[str, list[ReceivedMessage]] = defaultdict(list)
        for chat in await self._whatsapp.messages(since=chats_before):
            chats[execution_of(chat.callback_data)].append(chat)
        rows: dict[str, list[Row]] = defaultdict(list)
        for row in await self._read_rows():
            rows[str(row.get(ROW_KEY, ""))].append(row)
        return Arrived(mails, chats, rows)

    async def _read_rows(self) -> Sequence[Row]:
        spreadsheet, tab = self._workflow.spreadsheet, self._workflow.tab
        if not await self._sheets.row_count(spreadsheet, tab):
            return []
        return (await self._sheets.tab(spreadsheet, tab)).records()

    async def _totals(self) -> tuple[int, int, int]:
        inbox, whatsapp = await self._inbox.summary(), await self._whatsapp.summary()
        rows = await self._sheets.row_count(self._workflow.spreadsheet, self._workflow.tab)
        # The first row is the header.
        return int(inbox["messages"]), int(whatsapp["messages"]), max(0, rows - 1)
