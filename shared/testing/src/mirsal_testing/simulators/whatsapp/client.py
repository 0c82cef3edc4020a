"""Client of the WhatsApp simulator's control API, for tests that run it as another process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from mirsal_testing.simulators.control_client import MessageClient

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ARRIVAL_FIELDS = ("sequence", "arrivedAt", "to", "callbackData")


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """An accepted message. `body` is the request's body, exactly."""

    sequence: int
    arrived_at: datetime
    message_id: str
    phone_number_id: str
    to: str
    type: str
    text: str
    callback_data: str | None
    headers: Mapping[str, str]
    body: bytes

    @property
    def payload(self) -> dict[str, Any]:
        sent: dict[str, Any] = orjson.loads(self.body)
        return sent


@dataclass(frozen=True, slots=True)
class Arrival:
    """The little that a benchmark needs of a message."""

    sequence: int
    arrived_at: datetime
    to: str
    callback_data: str | None


class WhatsAppSimulatorClient(MessageClient):
    """`async with WhatsAppSimulatorClient(url) as whatsapp: await whatsapp.messages()`."""

    async def messages(
        self, *, since: int = 0, to: str | None = None, callback_data: str | None = None
    ) -> list[ReceivedMessage]:
        """All accepted messages after number `since`, oldest first."""
        query: dict[str, str | int] = {"since": since}
        if to is not None:
            query["to"] = to
        if callback_data is not None:
            query["callbackData"] = callback_data
        pages = self._pages("/simulator/messages", query, None)
        return [_read_message(item) async for item in pages]

    async def arrivals(self, *, since: int = 0) -> list[Arrival]:
        """As `messages`, but cheap for tens of thousands."""
        pages = self._pages("/simulator/messages", {"since": since}, ARRIVAL_FIELDS)
        return [
            Arrival(
                item["sequence"],
                datetime.fromisoformat(item["arrivedAt"]),
                item["to"],
                item["callbackData"],
            )
            async for item in pages
        ]

    async def calls(
        self,
        *,
        since: int = 0,
        outcome: str | None = None,
        fields: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Every call with its outcome, as the control API gives it, or these fields of it."""
        query: dict[str, str | int] = {"since": since}
        if outcome is not None:
            query["outcome"] = outcome
        return [item async for item in self._pages("/simulator/calls", query, fields)]

    async def counts(self, by: str = "callbackData") -> dict[str, int]:
        """How many accepted messages each callback data, or each recipient (`to`), has."""
        return await self._get("/simulator/counts", {"by": by})

    async def register_templates(self, *templates: Mapping[str, object]) -> None:
        answer = await self._http.post("/simulator/templates", json=list(templates))
        answer.raise_for_status()

    async def fail_next(
        self, code: int, *, times: int = 1, match: Mapping[str, object] | None = None
    ) -> str:
        """The next matching calls get Meta's error `code`. Returns the rule's id."""
        rule = {"times": times, "match": match or {}, "action": {"error": {"code": code}}}
        (added,) = await self.add_rules(rule)
        return str(added["id"])


def _read_message(item: Mapping[str, Any]) -> ReceivedMessage:
    return ReceivedMessage(
        sequence=item["sequence"],
        arrived_at=datetime.fromisoformat(item["arrivedAt"]),
        message_id=item["messageId"],
        phone_number_id=item["phoneNumberId"],
        to=item["to"],
        type=item["type"],
        text=item["text"],
        callback_data=item["callbackData"],
        headers=item["headers"],
        body=item["body"].encode(),
    )
