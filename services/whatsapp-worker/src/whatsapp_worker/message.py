"""Builds the Cloud API's message from a node's config, and checks what Meta would refuse. Pure.

Limits: Meta, "Messages" and "Interactive reply buttons messages"; lengths are in characters.
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from mirsal_contracts.message import JsonObject
from mirsal_contracts.nodes.whatsapp import Interactive, Media, Template
from mirsal_runtime.failures import PermanentError
from pydantic import JsonValue

from whatsapp_worker.params import WhatsAppParams

LONGEST: Mapping[str, int] = {
    "text": 4096,
    "template.variables": 32_768,
    "media.link": 2048,
    "media.caption": 1024,
    "media.filename": 240,
    "interactive.header": 60,
    "interactive.body": 1024,
    "interactive.footer": 60,
    "interactive.buttons.id": 256,
    "interactive.buttons.title": 20,
}
_UNSENDABLE = re.compile(r"[\n\r\t]| {5,}")
_LINK = re.compile(r"https?://\S", re.IGNORECASE)


def build_message(params: WhatsAppParams, *, to: str, command_id: str) -> JsonObject:
    """The body of the request; `command_id` comes back in every status of the message.

    Raises `PermanentError` (`invalid_message`) for what Meta would refuse.
    """
    kind, content = _content(params)
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": to,
        "type": kind,
        kind: content,
        "biz_opaque_callback_data": command_id,
    }


def _content(params: WhatsAppParams) -> tuple[str, JsonObject]:
    if params.template is not None:
        return "template", _template(params.template)
    if params.media is not None:
        return params.media.type, _media(params.media)
    if params.interactive is not None:
        return "interactive", _interactive(params.interactive)
    text = params.text or ""
    _check(text, "text")
    return "text", {"body": text, "preview_url": _LINK.search(text) is not None}


def _template(template: Template) -> JsonObject:
    components: list[JsonValue] = list(template.components)
    if template.variables:
        if any(str(each.get("type")).lower() == "body" for each in template.components):
            raise _invalid("template", "has variables and a body component: give only one of them")
        components.append({"type": "body", "parameters": _parameters(template.variables)})
    content: JsonObject = {"name": template.name, "language": {"code": template.language}}
    if components:
        content["components"] = components
    return content


def _parameters(variables: Sequence[str | float]) -> list[JsonValue]:
    parameters: list[JsonValue] = []
    for index, variable in enumerate(variables):
        member = f"template.variables[{index}]"
        text = _written(variable)
        _check(text, member, LONGEST["template.variables"])
        if _UNSENDABLE.search(text):
            raise _invalid(member, "must not hold line breaks, tabs or more than 4 spaces in a row")
        parameters.append({"type": "text", "text": text})
    return parameters


def _written(variable: str | float) -> str:
    if isinstance(variable, float) and variable.is_integer():
        return str(int(variable))
    return str(variable)


def _media(media: Media) -> JsonObject:
    _check(media.link, "media.link")
    if not _is_https(media.link):
        raise _invalid("media.link", "must be an address that begins with https://")
    content: JsonObject = {"link": media.link}
    if media.caption:
        if media.type == "audio":
            raise _invalid("media.caption", "cannot go with audio: send the text by itself")
        _check(media.caption, "media.caption")
        content["caption"] = media.caption
    if media.filename:
        if media.type != "document":
            raise _invalid("media.filename", "goes with a document only")
        _check(media.filename, "media.filename")
        content["filename"] = media.filename
    return content


def _interactive(interactive: Interactive) -> JsonObject:
    _check(interactive.body, "interactive.body")
    buttons: list[JsonValue] = []
    for index, button in enumerate(interactive.buttons):
        for name, text in (("id", button.id), ("title", button.title)):
            limit = LONGEST[f"interactive.buttons.{name}"]
            _check(text, f"interactive.buttons[{index}].{name}", limit)
        buttons.append({"type": "reply", "reply": {"id": button.id, "title": button.title}})
    for name in ("id", "title"):
        values = [getattr(button, name) for button in interactive.buttons]
        if len(set(values)) < len(values):
            raise _invalid("interactive.buttons", f"must differ in their {name}")
    content: JsonObject = {
        "type": "button",
        "body": {"text": interactive.body},
        "action": {"buttons": buttons},
    }
    if interactive.header:
        _check(interactive.header, "interactive.header")
        content["header"] = {"type": "text", "text": interactive.header}
    if interactive.footer:
        _check(interactive.footer, "interactive.footer")
        content["footer"] = {"text": interactive.footer}
    return content


def _check(text: str, member: str, longest: int | None = None) -> None:
    limit = LONGEST[member] if longest is None else longest
    if not text.strip():
        raise _invalid(member, "is empty")
    if len(text) > limit:
        raise _invalid(member, f"has {len(text)} characters: WhatsApp takes {limit}")


def _is_https(link: str) -> bool:
    try:
        parts = urlsplit(link)
        return parts.scheme == "https" and bool(parts.hostname) and not re.search(r"\s", link)
    except ValueError:
        return False


def _invalid(member: str, fault: str) -> PermanentError:
    return PermanentError("invalid_message", f"{member} {fault}")
