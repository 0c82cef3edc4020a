"""The answers of the WhatsApp Cloud API: pure makers of Meta's bodies, and the half answer."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING

from aiohttp import web

from mirsal_testing.simulators.listener import answer_json
from mirsal_testing.simulators.whatsapp.errors import MetaError

if TYPE_CHECKING:
    from mirsal_testing.simulators.whatsapp.checks import CheckedMessage
    from mirsal_testing.simulators.whatsapp.record import Call
    from mirsal_testing.simulators.whatsapp.rules import Action


def error_of(action: Action) -> MetaError | None:
    """The error that a rule's action stands for, if any."""
    if action.error is not None:
        return action.error.error()
    if action.rate_limit is not None:
        return MetaError(131056 if action.rate_limit.per == "pair" else 130429)
    return None


def unsupported(method: str, object_id: str) -> MetaError:
    return MetaError(
        100,
        message=f"Unsupported {method} request. Object with ID '{object_id}' does not exist, "
        "cannot be loaded due to missing permissions, or does not support this operation",
        subcode=33,
        kind="GraphMethodException",
    )


def make_message_id(wa_id: str) -> str:
    """A new id built as WhatsApp's own are: the number and a random part, in base64."""
    number = wa_id.encode()[:255]
    key = secrets.token_hex(9).upper().encode()
    packed = b"\x1c\x18%c%b\x15\x02\x00\x11\x18\x12%b\x00" % (len(number), number, key)
    return "wamid." + base64.b64encode(packed).decode()


def answer_accepted(call: Call, message: CheckedMessage) -> web.Response:
    sent: dict[str, object] = {"id": call.message_id}
    if message.type == "template":
        sent["message_status"] = "accepted"
    return answer_json(
        {
            "messaging_product": "whatsapp",
            "contacts": [{"input": message.sent_to, "wa_id": message.wa_id}],
            "messages": [sent],
        }
    )


def answer_error(error: MetaError, retry_after: int | None = None) -> web.Response:
    answer = answer_json(error.body(), error.status)
    if retry_after is not None:
        answer.headers["Retry-After"] = str(retry_after)
    return answer


async def answer_half(request: web.BaseRequest, whole: web.Response) -> None:
    """Sends the head and half of the body, and leaves the connection to be severed."""
    body = whole.body
    assert isinstance(body, bytes)  # noqa: S101 - answer_json makes bytes
    partial = web.StreamResponse(headers={"Content-Type": "application/json"})
    partial.content_length = len(body)
    await partial.prepare(request)
    await partial.write(body[: len(body) // 2])
