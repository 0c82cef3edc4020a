"""The two stories by which the platform was ordered, on real parts."""

from __future__ import annotations

import json
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from mirsal_contracts.ids import execution_id_of

if TYPE_CHECKING:
    from mirsal_testing.rest import RestClient
    from mirsal_testing.simulators.smtp.client import InboxClient
    from mirsal_testing.simulators.whatsapp.client import WhatsAppSimulatorClient

    from tests.e2e.conftest import People

pytestmark = pytest.mark.e2e

SUBJECT = "مرحباً {{lead.name}}"
BODY = "عزيزي {{lead.name}}, شكراً لاهتمامك"
TEXT = "أهلاً {{lead.name}} من {{lead.fields.city}} 👋"
# Letters that look alike, marks, joiners, right-to-left marks: all must come through as they are.
HARD_NAME = "لُجَيْن علی‌رضا \u200fÇağıl İ\u0301 한 𝒜 O'Neil & <b>"


def workflow(**mail: Any) -> dict[str, Any]:
    return {
        "name": "Greeting",
        "nodes": [
            {"id": "mail", "type": "email", "config": {"subject": SUBJECT, "body": BODY, **mail}},
            {"id": "chat", "type": "whatsapp", "config": {"text": TEXT}},
        ],
        "connections": [{"from": "mail", "to": "chat"}],
    }


def read_raw(raw: bytes) -> EmailMessage:
    """The mail as the standard library's modern parser reads it: a judge beside the simulator."""
    mail = message_from_bytes(raw, policy=default)
    assert isinstance(mail, EmailMessage)
    return mail


async def test_the_first_story_an_email_for_ahmed(
    api: RestClient, inbox: InboxClient, people: People
) -> None:
    ahmed = await people.make(email="ahmed@example.com")
    await api.publish("story-1", workflow())
    before = (await inbox.summary())["messages"]
    started = await api.call(
        "POST",
        "/email/send",
        json={
            "leadId": ahmed.id,
            "workflowId": "story-1",
            "nodeId": "greeting",
            "config": {"subject": SUBJECT, "body": BODY},
        },
    )
    assert started["status"] == "queued"
    run = await api.wait_for_run(started["runId"])
    status = await api.call("GET", f"/execution/{started['executionId']}/status")

    (mail,) = await inbox.messages(since=before, to="ahmed@example.com")
    assert mail.subject == "مرحباً أحمد محمد"
    assert mail.text.strip() == "عزيزي أحمد محمد, شكراً لاهتمامك"
    assert (run["status"], status["status"]) == ("succeeded", "succeeded")
    assert [each["executionId"] for each in run["executions"]] == [started["executionId"]]
    by = run["requestedBy"]
    assert (by["kind"], by["name"]) == ("key", "local"), "the stack's own key"
    assert UUID(by["id"])


async def test_the_second_story_two_executions_in_order(
    api: RestClient, inbox: InboxClient, whatsapp: WhatsAppSimulatorClient, people: People
) -> None:
    person = await people.make()
    await api.publish("story-2", workflow())
    run_id = await api.start_run("story-2", person.id, key="story-2-once")
    run = await api.wait_for_run(run_id)
    logs = await api.read_logs("story-2", runId=run_id)

    assert run["status"] == "succeeded"
    assert [(log["nodeId"], log["connectorType"], log["status"]) for log in logs] == [
        ("mail", "email", "succeeded"),
        ("chat", "whatsapp", "succeeded"),
    ]
    assert logs[0]["endTime"] <= logs[1]["startTime"]
    assert all(log["retryCount"] == 0 and log["error"] is None for log in logs)
    (mail,) = await inbox.messages(to=person.email)
    (chat,) = await whatsapp.messages(to=person.wa_id)
    assert mail.arrived_at <= chat.arrived_at
    assert chat.text == "أهلاً أحمد محمد من القاهرة 👋"

    again = await api.start_run("story-2", person.id, key="story-2-once")
    assert again == run_id
    assert len(await whatsapp.messages(to=person.wa_id)) == 1


async def test_text_arrives_byte_for_byte(
    api: RestClient, inbox: InboxClient, whatsapp: WhatsAppSimulatorClient, people: People
) -> None:
    person = await people.make(name=HARD_NAME, fields={"city": "أبو ظبي"})
    html = "<p>عزيزي {{lead.name}}</p>"
    await api.publish("bytes", workflow(html=html, fromName="مرسال · Mirsal"))
    await api.wait_for_run(await api.start_run("bytes", person.id))

    (mail,) = await inbox.messages(to=person.email)
    parsed = read_raw(mail.raw)
    text, rich = parsed.get_body(("plain",)), parsed.get_body(("html",))
    assert text is not None
    assert rich is not None
    assert parsed["subject"] == mail.subject == f"مرحباً {HARD_NAME}"
    assert parsed["from"].addresses[0].display_name == "مرسال · Mirsal"
    assert text.get_content().rstrip("\r\n") == f"عزيزي {HARD_NAME}, شكراً لاهتمامك"
    escaped = rich.get_content().replace("&#x27;", "&#39;")
    assert "O&#39;Neil &amp; &lt;b&gt;</p>" in escaped
    assert 'dir="rtl"' in rich.get_content()

    (chat,) = await whatsapp.messages(to=person.wa_id)
    expected = f"أهلاً {HARD_NAME} من أبو ظبي 👋"
    assert json.loads(chat.body)["text"]["body"].encode() == expected.encode()


async def test_one_trace_from_the_call_to_the_provider(
    api: RestClient, inbox: InboxClient, whatsapp: WhatsAppSimulatorClient, people: People
) -> None:
    person = await people.make()
    await api.publish("traced", workflow())
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    started = await api.call(
        "POST",
        "/workflow/traced/run",
        json={"leadId": person.id},
        headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"},
    )
    run = await api.wait_for_run(started["runId"])
    (chat,) = await whatsapp.messages(to=person.wa_id)
    assert {each["traceId"] for each in run["executions"]} == {trace_id}
    assert chat.headers["traceparent"].split("-")[1] == trace_id


async def test_the_ids_of_messages_are_those_of_their_commands(
    api: RestClient, inbox: InboxClient, whatsapp: WhatsAppSimulatorClient, people: People
) -> None:
    person = await people.make()
    await api.publish("ids", workflow())
    run_id = await api.start_run("ids", person.id)
    await api.wait_for_run(run_id)
    (mail,) = await inbox.messages(to=person.email)
    (chat,) = await whatsapp.messages(to=person.wa_id)
    assert chat.callback_data == f"{execution_id_of(run_id, 'chat')}.1"
    assert (mail.message_id or "").startswith(f"<{execution_id_of(run_id, 'mail')}.1@")
