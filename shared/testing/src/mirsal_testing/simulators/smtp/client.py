"""Client of the SMTP simulator's inbox, for tests that run it as another process."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mirsal_testing.simulators.control_client import MessageClient

if TYPE_CHECKING:
    from collections.abc import Mapping

MAILS_OF_PAGE = 500
"""Whole mails are large, and the simulator reads each one for the answer."""


@dataclass(frozen=True, slots=True)
class InboxMail:
    """An accepted mail as its reader sees it. `raw` is the mail, exactly."""

    sequence: int
    arrived_at: datetime
    envelope_from: str
    envelope_to: tuple[str, ...]
    message_id: str | None
    subject: str
    sender: str
    to: str
    cc: str
    text: str
    html: str
    headers: tuple[tuple[str, str], ...]
    raw: bytes


class InboxClient(MessageClient):
    """`async with InboxClient(url) as inbox: await inbox.messages()`."""

    async def messages(
        self, *, since: int = 0, to: str | None = None, message_id: str | None = None
    ) -> list[InboxMail]:
        """All accepted mails after number `since`, oldest first; `to` is an envelope address."""
        query: dict[str, str | int] = {"since": since, "limit": MAILS_OF_PAGE}
        if to is not None:
            query["to"] = to
        if message_id is not None:
            query["messageId"] = message_id
        return [_read_mail(item) async for item in self._pages("/simulator/messages", query, None)]

    async def arrivals(self, *, since: int = 0) -> list[dict[str, Any]]:
        """sequence, arrivedAt, envelope and messageId only: cheap for thousands."""
        fields = ("sequence", "arrivedAt", "envelope", "messageId")
        pages = self._pages("/simulator/messages", {"since": since}, fields)
        return [item async for item in pages]

    async def counts(self) -> dict[str, int]:
        """How many mails each envelope recipient got."""
        return await self._get("/simulator/counts")

    async def fail_next(
        self,
        stage: str,
        code: int,
        text: str = "simulated",
        *,
        times: int = 1,
        match: Mapping[str, object] | None = None,
    ) -> str:
        """The next matching steps are answered `code text`. Returns the rule's id."""
        action = {"reply": {"code": code, "text": text}}
        rule = {"stage": stage, "times": times, "match": match or {}, "action": action}
        (added,) = await self.add_rules(rule)
        return str(added["id"])


def _read_mail(item: Mapping[str, Any]) -> InboxMail:
    return InboxMail(
        sequence=item["sequence"],
        arrived_at=datetime.fromisoformat(item["arrivedAt"]),
        envelope_from=item["envelope"]["from"],
        envelope_to=tuple(item["envelope"]["to"]),
        message_id=item["messageId"],
        subject=item["subject"],
        sender=item["from"],
        to=item["to"],
        cc=item["cc"],
        text=item["text"],
        html=item["html"],
        headers=tuple((name, value) for name, value in item["headers"]),
        raw=base64.b64decode(item["raw"]),
    )
