"""What reached the WhatsApp simulator: every call, and the messages that counted as accepted.

Recording is cheap; what is worth decoding is decoded when somebody reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from mirsal_testing.simulators.control import View
from mirsal_testing.simulators.journal import Journal, Tally
from mirsal_testing.simulators.whatsapp.rules import visible_text

SECRET_HEADERS = frozenset({"authorization", "cookie"})


@dataclass(slots=True)
class Call:
    """One POST to a messages endpoint, with what the simulator made of it.

    `outcome` is accepted, refused (failed Meta's checks), error (by a rule, in Meta's shape),
    status (by a rule, bare), dropped, hung or read (marked as read). `accepted` tells whether a
    message counts as delivered, which `outcome` alone does not: a dropped one may be, too.
    """

    arrived: float
    path: str
    raw_headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    sequence: int = 0
    outcome: str = "accepted"
    status: int | None = None
    code: int | None = None
    reason: str | None = None
    rule_id: str | None = None
    to: str | None = None
    type: str | None = None
    callback_data: str | None = None
    accepted: bool = False
    message_sequence: int = 0
    message_id: str | None = None

    @property
    def arrived_at(self) -> datetime:
        return datetime.fromtimestamp(self.arrived, UTC)

    @property
    def phone_number_id(self) -> str:
        return self.path.split("/")[2]

    @property
    def headers(self) -> dict[str, str]:
        """Names in lower case; the values of secret ones hidden."""
        found = {
            name.decode("latin-1").lower(): value.decode("utf-8", "replace")
            for name, value in self.raw_headers
        }
        return {name: "***" if name in SECRET_HEADERS else found[name] for name in found}

    @property
    def payload(self) -> dict[str, Any]:
        """The sent JSON; empty where that was no JSON object."""
        try:
            sent = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return {}
        return sent if isinstance(sent, dict) else {}

    @property
    def text(self) -> str:
        """What the person sees: the text body, else caption, template variables and the like."""
        payload = self.payload
        text = payload.get("text")
        if isinstance(text, dict) and isinstance(text.get("body"), str):
            return str(text["body"])
        return visible_text(payload)


CALLS: View[Call] = View(
    members={
        "sequence": lambda call: call.sequence,
        "arrivedAt": lambda call: call.arrived_at,
        "path": lambda call: call.path,
        "outcome": lambda call: call.outcome,
        "accepted": lambda call: call.accepted,
        "status": lambda call: call.status,
        "code": lambda call: call.code,
        "reason": lambda call: call.reason,
        "rule": lambda call: call.rule_id,
        "to": lambda call: call.to,
        "type": lambda call: call.type,
        "callbackData": lambda call: call.callback_data,
        "messageId": lambda call: call.message_id,
        "headers": lambda call: call.headers,
        "body": lambda call: call.body.decode("utf-8", "replace"),
    },
    default=(
        "sequence", "arrivedAt", "path", "outcome", "accepted", "status", "code", "reason",
        "rule", "to", "type", "callbackData", "messageId",
    ),
)  # fmt: skip

MESSAGES: View[Call] = View(
    members={
        "sequence": lambda call: call.message_sequence,
        "arrivedAt": lambda call: call.arrived_at,
        "messageId": lambda call: call.message_id,
        "phoneNumberId": lambda call: call.phone_number_id,
        "to": lambda call: call.to,
        "type": lambda call: call.type,
        "text": lambda call: call.text,
        "callbackData": lambda call: call.callback_data,
        "headers": lambda call: call.headers,
        "body": lambda call: call.body.decode(),
    },
    default=(
        "sequence", "arrivedAt", "messageId", "phoneNumberId", "to", "type", "text",
        "callbackData", "headers", "body",
    ),
)  # fmt: skip


class Record:
    """All calls and messages since the start or the last reset. With `keep`, the newest only."""

    def __init__(self, keep: int = 0) -> None:
        self.calls: Journal[Call] = Journal(keep)
        self.messages: Journal[Call] = Journal(keep)
        self.by_callback_data = Tally()
        self.by_recipient = Tally()
        self._outcomes = Tally()
        self._errors = Tally()

    def accept(self, call: Call, message_id: str) -> None:
        """Counts the call's message as delivered."""
        call.accepted = True
        call.message_id = message_id
        self.messages.append(call)
        call.message_sequence = self.messages.total
        if call.callback_data is not None:
            self.by_callback_data.add(call.callback_data)
        if call.to is not None:
            self.by_recipient.add(call.to)

    def close(self, call: Call) -> None:
        """Counts the call under its outcome. Once for each call, when that is known."""
        self.calls.append(call)
        call.sequence = self.calls.total
        self._outcomes.add(call.outcome)
        if call.code is not None:
            self._errors.add(str(call.code))

    def clear(self) -> None:
        for part in (self.calls, self.messages, self.by_callback_data, self.by_recipient,
                     self._outcomes, self._errors):  # fmt: skip
            part.clear()

    def summary(self) -> dict[str, object]:
        """Counts, the same cost at any number of messages but for the repeated keys."""
        last = self.messages.get(self.messages.total)
        return {
            "calls": self.calls.total,
            "messages": self.messages.total,
            "outcomes": dict(self._outcomes.counts),
            "errors": dict(self._errors.counts),
            "recipients": len(self.by_recipient),
            "callbackData": len(self.by_callback_data),
            "duplicates": dict(self.by_callback_data.repeated),
            "lastArrivedAt": last.arrived_at if last else None,
        }
