"""Checks of interactive messages: reply buttons in full, lists and links in their outline."""

from __future__ import annotations

from typing import Any

from mirsal_testing.simulators.whatsapp.errors import invalid_value, missing, wrong
from mirsal_testing.simulators.whatsapp.members import Json, object_at, text_at

KINDS = (
    "address_message", "button", "catalog_message", "cta_url", "flow", "list",
    "location_request_message", "order_details", "order_status", "product", "product_list",
    "voice_call",
)  # fmt: skip
WITH_BODY = ("button", "cta_url", "list")
MOST_BUTTONS = 3
LONGEST_TITLE = 20
LONGEST_ID = 256
LONGEST_BODY = 1024
LONGEST_FOOTER = 60


def check_interactive(payload: Json) -> None:
    interactive = object_at(payload, "interactive")
    kind = text_at(interactive, "type", "interactive['type']")
    if kind.lower() not in KINDS:
        raise wrong(
            "interactive['type']", f'be one of {{{", ".join(KINDS).upper()}}} - got "{kind}".'
        )
    action = object_at(interactive, "action", "interactive['action']")
    if kind in WITH_BODY:
        _check_length(_text_of(interactive, "body", required=True), "Body text", LONGEST_BODY)
        footer = _text_of(interactive, "footer", required=False)
        if footer is not None:
            _check_length(footer, "Footer text", LONGEST_FOOTER)
    if kind == "button":
        check_buttons(action)


def _text_of(interactive: Json, part: str, *, required: bool) -> str | None:
    if not required and interactive.get(part) is None:
        return None
    holder = object_at(interactive, part, f"interactive['{part}']")
    return text_at(holder, "text", f"interactive['{part}']['text']")


def _check_length(text: str | None, what: str, longest: int) -> None:
    if not text or len(text) > longest:
        raise invalid_value(f"{what} length invalid. Min length: 1, Max length: {longest}")


def check_buttons(action: Json) -> None:
    buttons = action.get("buttons")
    if buttons is None:
        raise missing("interactive['action']['buttons']")
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= MOST_BUTTONS:
        raise invalid_value(
            f"Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: {MOST_BUTTONS}"
        )
    replies = [_reply_of(button, index) for index, button in enumerate(buttons)]
    for reply in replies:
        _check_length(reply["id"], "Button id", LONGEST_ID)
        _check_length(reply["title"], "Button title", LONGEST_TITLE)
    for name in ("id", "title"):
        if len({reply[name] for reply in replies}) < len(replies):
            raise invalid_value(f"Button {name}s must be unique within a message")


def _reply_of(button: Any, index: int) -> dict[str, str]:
    path = f"interactive['action']['buttons'][{index}]"
    if not isinstance(button, dict):
        raise wrong(path, "be a JSON object.")
    if button.get("type") != "reply":
        raise wrong(f"{path}['type']", f'be one of {{REPLY}} - got "{button.get("type")}".')
    reply = object_at(button, "reply", f"{path}['reply']")
    return {
        name: text_at(reply, name, f"{path}['reply']['{name}']") if reply.get(name) != "" else ""
        for name in ("id", "title")
    }
