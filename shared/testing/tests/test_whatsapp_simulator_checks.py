"""What Meta refuses, and in which words: one row for each check of the WhatsApp simulator."""

from __future__ import annotations

from typing import Any

import pytest
from mirsal_testing.simulators.whatsapp.checks import check_message, normalise_number
from mirsal_testing.simulators.whatsapp.errors import MetaError
from mirsal_testing.simulators.whatsapp.templates import TemplateRegistry

ANY_TEMPLATE = TemplateRegistry()
TEXT: dict[str, Any] = {
    "messaging_product": "whatsapp",
    "to": "966501234567",
    "type": "text",
    "text": {"body": "سلام", "preview_url": True},
}


def of_type(kind: str, content: object) -> dict[str, Any]:
    return {"messaging_product": "whatsapp", "to": "966501234567", "type": kind, kind: content}


def buttons(*replies: dict[str, Any], body: str = "اختر") -> dict[str, Any]:
    action = {"buttons": [{"type": "reply", "reply": reply} for reply in replies]}
    return of_type("interactive", {"type": "button", "body": {"text": body}, "action": action})


def template(**changes: Any) -> dict[str, Any]:
    return of_type("template", {"name": "welcome", "language": {"code": "ar"}} | changes)


def variables(*parameters: object) -> dict[str, Any]:
    return template(components=[{"type": "body", "parameters": list(parameters)}])


def reply(number: int = 1, title: str = "نعم") -> dict[str, str]:
    return {"id": f"b{number}", "title": f"{title}{number}"}


GOOD = {
    "text": TEXT,
    "no type is text": {name: TEXT[name] for name in TEXT if name != "type"},
    "longest text": of_type("text", {"body": "م" * 4096}),
    "longest callback data": TEXT | {"biz_opaque_callback_data": "م" * 512},
    "reply": TEXT | {"context": {"message_id": "wamid.X"}},
    "group": TEXT | {"to": "Y2FwaV9ncm91cDox", "recipient_type": "group"},
    "image": of_type("image", {"link": "https://example.com/صورة.png", "caption": "صورة"}),
    "document": of_type("document", {"link": "https://example.com/a.pdf", "filename": "عرض.pdf"}),
    "audio by id": of_type("audio", {"id": "1234"}),
    "video": of_type("video", {"link": "https://example.com/a.mp4"}),
    "location": of_type("location", {"latitude": 24.7, "longitude": 46.7}),
    "three buttons": buttons(reply(1), reply(2), reply(3)),
    "longest title": buttons({"id": "a", "title": "م" * 20}),
    "template": template(),
    "template with variables": variables({"type": "text", "text": "أحمد"}, {"type": "currency"}),
    "template with a button": template(
        components=[{"type": "button", "sub_type": "url", "index": "0", "parameters": []}]
    ),
    "list": of_type(
        "interactive", {"type": "list", "body": {"text": "x"}, "action": {"button": "افتح"}}
    ),
}

WRONG: list[tuple[str, object, int, str]] = [
    ("no object", ["x"], 100, "The parameter messaging_product is required."),
    ("no product", {"to": "1"}, 100, "The parameter messaging_product is required."),
    ("product", TEXT | {"messaging_product": "sms"}, 100, "must be one of {WHATSAPP}"),
    ("no to", TEXT | {"to": ""}, 100, "The parameter to is required."),
    ("to is a number", TEXT | {"to": 966501234567}, 100, "Param to must be a string."),
    ("to is a name", TEXT | {"to": "أحمد"}, 131009, "malformed"),
    ("to in Arabic digits", TEXT | {"to": "٩٦٦٥٠١٢٣٤٥٦٧"}, 131009, "malformed"),
    ("to is too long", TEXT | {"to": "9" * 16}, 131009, "malformed"),
    ("national to", TEXT | {"to": "0501234567"}, 131009, "malformed"),
    ("recipient type", TEXT | {"recipient_type": "all"}, 100, "{INDIVIDUAL, GROUP}"),
    ("type", TEXT | {"type": "fax"}, 100, 'got "fax".'),
    ("callback data", TEXT | {"biz_opaque_callback_data": "x" * 513}, 100, "at most 512"),
    ("callback data type", TEXT | {"biz_opaque_callback_data": 7}, 100, "must be a string"),
    ("context", TEXT | {"context": {}}, 100, "context['message_id'] is required"),
    ("no text", {**TEXT, "text": None}, 100, "The parameter text is required."),
    ("text is a string", TEXT | {"text": "hi"}, 100, "Param text must be a JSON object."),
    ("no body", of_type("text", {}), 100, "text['body'] is required"),
    ("empty body", of_type("text", {"body": ""}), 100, "text['body'] is required"),
    ("body type", of_type("text", {"body": 5}), 100, "text['body'] must be a string"),
    ("long body", of_type("text", {"body": "م" * 4097}), 100, "at most 4096 characters long."),
    ("preview", of_type("text", {"body": "x", "preview_url": 1}), 100, "must be a boolean"),
    ("key", of_type("text", {"body": "x", "b": 1}), 100, 'Unexpected key "b" on param "text".'),
    ("media without link", of_type("image", {}), 100, "image['id'] or image['link']"),
    ("http", of_type("image", {"link": "http://e.com/a"}), 100, "is not a valid URI"),
    ("no URL", of_type("video", {"link": "https://"}), 100, "is not a valid URI"),
    ("bad URL", of_type("video", {"link": "https://[::1"}), 100, "is not a valid URI"),
    ("audio caption", of_type("audio", {"id": "1", "caption": "x"}), 100, 'Unexpected key "cap'),
    ("caption", of_type("image", {"id": "1", "caption": "م" * 1025}), 100, "at most 1024"),
    ("no location", TEXT | {"type": "location"}, 100, "The parameter location is required."),
    ("four buttons", buttons(*map(reply, range(4))), 131009, "Max allowed buttons: 3"),
    ("no buttons", buttons(), 131009, "Invalid buttons count. Min allowed buttons: 1"),
    ("button title", buttons({"id": "a", "title": "م" * 21}), 131009, "Max length: 20"),
    ("empty title", buttons({"id": "a", "title": ""}), 131009, "Button title length invalid"),
    ("button id", buttons({"id": "a" * 257, "title": "x"}), 131009, "Button id length invalid"),
    ("same ids", buttons(reply(1), reply(1, "لا")), 131009, "ids must be unique"),
    (
        "same titles",
        buttons({"id": "a", "title": "x"}, {"id": "b", "title": "x"}),
        131009,
        "titles must be unique",
    ),
    ("long question", buttons(reply(), body="م" * 1025), 131009, "Body text length invalid"),
    ("no question", buttons(reply(), body=""), 100, "interactive['body']['text'] is required"),
    ("interactive type", of_type("interactive", {"type": "menu"}), 100, 'got "menu".'),
    (
        "no action",
        of_type("interactive", {"type": "button", "body": {"text": "x"}}),
        100,
        "interactive['action'] is required",
    ),
    ("no template", {**template(), "template": None}, 100, "The parameter template is required"),
    ("template name", template(name=""), 100, "template['name'] is required"),
    ("template language", template(language={}), 100, "['language']['code'] is required"),
    ("components", template(components={}), 100, "must be an array"),
    ("component", template(components=[{"type": "foot"}]), 100, 'got "foot".'),
    ("variable without text", variables({"type": "text"}), 100, "Parameter 'text' is mandatory"),
    ("empty variable", variables({"type": "text", "text": ""}), 131008, "missing text value"),
    ("line break", variables({"type": "text", "text": "a\nb"}), 132018, "new-line/tab"),
    ("spaces", variables({"type": "text", "text": "a     b"}), 132018, "4 consecutive spaces"),
]


@pytest.mark.parametrize("payload", GOOD.values(), ids=GOOD.keys())
def test_meta_takes(payload: dict[str, Any]) -> None:
    checked = check_message(payload, ANY_TEMPLATE)
    assert checked.type == payload.get("type", "text")


@pytest.mark.parametrize(
    ("payload", "code", "words"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG]
)
def test_meta_refuses(payload: object, code: int, words: str) -> None:
    with pytest.raises(MetaError) as refused:
        check_message(payload, ANY_TEMPLATE)
    assert refused.value.code == code
    assert words in f"{refused.value.message} {refused.value.details}"


@pytest.mark.parametrize("number", ["966501234567", "+966501234567", "+966 (50) 123-4567"])
def test_numbers_are_normalised(number: str) -> None:
    assert normalise_number(number) == "966501234567"


def test_codes_have_metas_status_and_details() -> None:
    statuses = {code: MetaError(code).status for code in (0, 2, 10, 190, 230, 131000, 132001)}
    assert statuses == {0: 401, 2: 503, 10: 403, 190: 401, 230: 403, 131000: 500, 132001: 404}
    body = MetaError(131026).body()["error"]
    assert isinstance(body, dict)
    assert body["message"] == "(#131026) Message undeliverable"
    assert body["error_data"] == {
        "messaging_product": "whatsapp",
        "details": "Message undeliverable.",
    }
    assert "error_data" not in str(MetaError(4).body())
