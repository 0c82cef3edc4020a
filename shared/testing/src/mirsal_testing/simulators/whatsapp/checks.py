"""What Meta checks before it takes a message: pure, from the sent JSON to a verdict.

Template and interactive messages have modules of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from mirsal_testing.simulators.whatsapp.errors import MetaError, invalid_value, missing, wrong
from mirsal_testing.simulators.whatsapp.interactive import check_interactive
from mirsal_testing.simulators.whatsapp.members import (
    Json,
    object_at,
    optional_text_at,
    refuse_unknown,
    text_at,
)
from mirsal_testing.simulators.whatsapp.templates import TemplateRegistry, check_template

TYPES = (
    "audio", "contacts", "document", "image", "interactive", "location", "reaction", "sticker",
    "template", "text", "video",
)  # fmt: skip
LONGEST_TEXT = 4096
LONGEST_CAPTION = 1024
LONGEST_CALLBACK_DATA = 512
NUMBER_DECORATION = str.maketrans("", "", " +-().")
NUMBER = re.compile(r"[1-9][0-9]{5,14}", re.ASCII)

TEXT_MEMBERS = frozenset({"body", "preview_url"})
MEDIA_MEMBERS = {
    "audio": frozenset({"id", "link", "voice"}),
    "document": frozenset({"id", "link", "caption", "filename"}),
    "image": frozenset({"id", "link", "caption"}),
    "sticker": frozenset({"id", "link"}),
    "video": frozenset({"id", "link", "caption"}),
}


@dataclass(frozen=True, slots=True)
class CheckedMessage:
    """What the rest of the simulator needs of a message that passed."""

    sent_to: str
    wa_id: str
    type: str
    callback_data: str | None
    payload: Json


def check_message(payload: object, templates: TemplateRegistry) -> CheckedMessage:
    """Raises MetaError with the refusal of the first thing that is wrong."""
    if not isinstance(payload, dict):
        raise missing("messaging_product")
    check_product(payload)
    sent_to = text_at(payload, "to", "to")
    wa_id = sent_to if _is_for_group(payload) else normalise_number(sent_to)
    kind = optional_text_at(payload, "type", "type") or "text"
    if kind not in TYPES:
        raise wrong("type", f'be one of {{{", ".join(TYPES).upper()}}} - got "{kind}".')
    callback_data = optional_text_at(
        payload, "biz_opaque_callback_data", "biz_opaque_callback_data", LONGEST_CALLBACK_DATA
    )
    _check_context(payload)
    _check_content(kind, payload, templates)
    return CheckedMessage(sent_to, wa_id, kind, callback_data, payload)


def check_product(payload: Json) -> None:
    product = payload.get("messaging_product")
    if product is None:
        raise missing("messaging_product")
    if product != "whatsapp":
        raise wrong("messaging_product", f'be one of {{WHATSAPP}} - got "{product}".')


def normalise_number(number: str) -> str:
    """Digits only, as in `wa_id`. Raises MetaError 131009 if that is no international number."""
    digits = number.translate(NUMBER_DECORATION)
    if not NUMBER.fullmatch(digits):
        raise invalid_value("The phone number is malformed: use the format +1234567890")
    return digits


def check_mark_as_read(payload: Json) -> None:
    """`{"status": "read", "message_id": ...}`, the other thing this endpoint takes."""
    check_product(payload)
    if payload["status"] != "read":
        raise wrong("status", f'be one of {{READ}} - got "{payload["status"]}".')
    if not text_at(payload, "message_id", "message_id").startswith("wamid."):
        raise invalid_value("The message id is not valid")


def _is_for_group(payload: Json) -> bool:
    kind = payload.get("recipient_type", "individual")
    if kind not in ("individual", "group"):
        raise wrong("recipient_type", f'be one of {{INDIVIDUAL, GROUP}} - got "{kind}".')
    return bool(kind == "group")


def _check_context(payload: Json) -> None:
    if "context" in payload:
        context = object_at(payload, "context")
        text_at(context, "message_id", "context['message_id']")


def _check_content(kind: str, payload: Json, templates: TemplateRegistry) -> None:
    if kind == "text":
        _check_text(payload)
    elif kind == "template":
        check_template(payload, templates)
    elif kind == "interactive":
        check_interactive(payload)
    elif kind in MEDIA_MEMBERS:
        _check_media(kind, payload)
    elif payload.get(kind) is None:
        raise missing(kind)


def _check_text(payload: Json) -> None:
    text = object_at(payload, "text")
    text_at(text, "body", "text['body']", LONGEST_TEXT)
    if not isinstance(text.get("preview_url", False), bool):
        raise wrong("text['preview_url']", "be a boolean.")
    refuse_unknown(text, TEXT_MEMBERS, "text")


def _check_media(kind: str, payload: Json) -> None:
    media = object_at(payload, kind)
    refuse_unknown(media, MEDIA_MEMBERS[kind], kind)
    optional_text_at(media, "caption", f"{kind}['caption']", LONGEST_CAPTION)
    media_id = optional_text_at(media, "id", f"{kind}['id']")
    link = optional_text_at(media, "link", f"{kind}['link']")
    if not media_id and not link:
        raise missing(f"{kind}['id'] or {kind}['link']")
    if link and not _is_https(link):
        raise MetaError(100, message=f"(#100) Param {kind}['link'] is not a valid URI.")


def _is_https(link: str) -> bool:
    try:
        parts = urlsplit(link)
        return parts.scheme == "https" and bool(parts.hostname) and " " not in link
    except ValueError:
        return False
