"""The messages as the Cloud API takes them, and what is refused before it is asked."""

from typing import Any

import pytest
from mirsal_runtime.failures import PermanentError
from whatsapp_worker.message import build_message
from whatsapp_worker.params import WhatsAppParams


def build(**config: Any) -> dict[str, Any]:
    params = WhatsAppParams.model_validate(config)
    return build_message(params, to="966501234567", command_id="e.1")


def test_text() -> None:
    assert build(text="مرحباً أحمد") == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "966501234567",
        "type": "text",
        "text": {"body": "مرحباً أحمد", "preview_url": False},
        "biz_opaque_callback_data": "e.1",
    }


@pytest.mark.parametrize(
    ("text", "preview"),
    [("see https://example.com/x", True), ("HTTP://EXAMPLE.COM", True), ("https:// x", False)],
)
def test_a_link_in_a_text_is_shown(text: str, preview: bool) -> None:
    assert build(text=text)["text"]["preview_url"] is preview


def test_template_with_variables() -> None:
    config = {"name": "welcome", "language": "ar", "variables": ["أحمد", 7, 2.5, 3.0]}
    assert build(template=config)["template"] == {
        "name": "welcome",
        "language": {"code": "ar"},
        "components": [
            {
                "type": "body",
                "parameters": [
                    {"type": "text", "text": "أحمد"},
                    {"type": "text", "text": "7"},
                    {"type": "text", "text": "2.5"},
                    {"type": "text", "text": "3"},
                ],
            }
        ],
    }


def test_template_without_variables() -> None:
    assert build(template={"name": "welcome", "language": "en_US"})["template"] == {
        "name": "welcome",
        "language": {"code": "en_US"},
    }


def test_components_go_as_given_beside_the_variables() -> None:
    button = {"type": "button", "sub_type": "url", "index": 0, "parameters": []}
    components = build(**template("x", components=[button]))["template"]["components"]
    assert components == [button, {"type": "body", "parameters": [{"type": "text", "text": "x"}]}]


@pytest.mark.parametrize(
    ("config", "content"),
    [
        (
            {"type": "image", "link": "https://example.com/a.jpg", "caption": "صورة"},
            {"link": "https://example.com/a.jpg", "caption": "صورة"},
        ),
        (
            {"type": "document", "link": "https://example.com/a.pdf", "filename": "عرض.pdf"},
            {"link": "https://example.com/a.pdf", "filename": "عرض.pdf"},
        ),
        ({"type": "audio", "link": "https://e.com/a.ogg"}, {"link": "https://e.com/a.ogg"}),
        ({"type": "video", "link": "https://e.com/a.mp4"}, {"link": "https://e.com/a.mp4"}),
    ],
)
def test_media(config: dict[str, str], content: dict[str, str]) -> None:
    message = build(media=config)
    assert (message["type"], message[config["type"]]) == (config["type"], content)


def test_interactive() -> None:
    interactive = {
        "header": "مرسال",
        "body": "هل نتصل بك؟",
        "footer": "للإلغاء أرسل إيقاف",
        "buttons": [{"id": "yes", "title": "نعم"}, {"id": "no", "title": "لا"}],
    }
    assert build(interactive=interactive)["interactive"] == {
        "type": "button",
        "header": {"type": "text", "text": "مرسال"},
        "body": {"text": "هل نتصل بك؟"},
        "footer": {"text": "للإلغاء أرسل إيقاف"},
        "action": {
            "buttons": [
                {"type": "reply", "reply": {"id": "yes", "title": "نعم"}},
                {"type": "reply", "reply": {"id": "no", "title": "لا"}},
            ]
        },
    }


def template(*variables: str, **others: Any) -> dict[str, Any]:
    return {"template": {"name": "t", "language": "ar", "variables": variables} | others}


def media(kind: str, link: str = "https://e.com/a", **others: str) -> dict[str, Any]:
    return {"media": {"type": kind, "link": link} | others}


def buttons(*pairs: tuple[str, str], **others: str) -> dict[str, Any]:
    made = [{"id": identity, "title": title} for identity, title in pairs]
    return {"interactive": {"body": "b", "buttons": made} | others}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"text": "x" * 4097}, "text has 4097 characters: WhatsApp takes 4096"),
    ({"text": " \n"}, "text is empty"),
    (template("a\nb"), r"template.variables\[0\] must not hold line breaks"),
    (template("a", "b\t"), r"template.variables\[1\] must not hold line breaks"),
    (template("a     b"), "more than 4 spaces"),
    (template(""), r"template.variables\[0\] is empty"),
    (template("x" * 32769), "32769 characters"),
    (template("x", components=[{"type": "BODY"}]), "only one of them"),
    (media("image", "http://example.com/a.jpg"), "begins with https://"),
    (media("image", "https://"), "begins with https://"),
    (media("image", "https://e.com/a b"), "begins with https://"),
    (media("image", "https://[e.com/a"), "begins with https://"),
    (media("image", "https://e.com/" + "x" * 2048), "media.link has"),
    (media("image", caption="x" * 1025), "1025 characters"),
    (media("audio", caption="x"), "cannot go with audio"),
    (media("image", filename="x"), "a document only"),
    (buttons(("a", "x" * 21)), r"buttons\[0\].title has 21 characters: WhatsApp takes 20"),
    (buttons(("x" * 257, "t")), r"buttons\[0\].id has 257"),
    (buttons(("a", "t"), ("a", "u")), "must differ in their id"),
    (buttons(("a", "t"), ("b", "t")), "must differ in their title"),
    (buttons(("a", "t"), body="x" * 1025), "interactive.body has 1025"),
    (buttons(("a", "t"), header="x" * 61), "interactive.header has 61"),
    (buttons(("a", "t"), footer="x" * 61), "interactive.footer has 61"),
]


@pytest.mark.parametrize(("config", "fault"), REFUSED)
def test_refused(config: dict[str, Any], fault: str) -> None:
    with pytest.raises(PermanentError, match=fault) as refused:
        build(**config)
    assert refused.value.code == "invalid_message"


def test_what_is_just_allowed_passes() -> None:
    assert build(text="x" * 4096)
    assert build(
        **buttons(("x" * 256, "y" * 20), body="x" * 1024, header="x" * 60, footer="x" * 60)
    )
    assert build(**template("a    b"))
