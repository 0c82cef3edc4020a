"""How a run goes through its graph: conditions, branches, joins, failures, consent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mirsal_testing.rest import RestClient
    from mirsal_testing.simulators.smtp.client import InboxClient
    from mirsal_testing.simulators.whatsapp.client import WhatsAppSimulatorClient

    from tests.e2e.conftest import People

pytestmark = pytest.mark.e2e


def chat(node_id: str, text: str, **more: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "whatsapp", "config": {"text": text}, **more}


def arrow(source: str, target: str, when: str | None = None) -> dict[str, Any]:
    return {"from": source, "to": target, **({"when": when} if when else {})}


def statuses(run: dict[str, Any]) -> dict[str, str]:
    return {each["nodeId"]: each["status"] for each in run["executions"]}


@pytest.mark.parametrize(
    ("city", "taken", "other"), [("القاهرة", "near", "far"), ("Berlin", "far", "near")]
)
async def test_a_condition_takes_one_way(
    api: RestClient,
    whatsapp: WhatsAppSimulatorClient,
    people: People,
    city: str,
    taken: str,
    other: str,
) -> None:
    person = await people.make(fields={"city": city})
    condition = {
        "id": "where",
        "type": "condition",
        "config": {"if": 'lead.fields.city == "القاهرة" && run.input.open'},
    }
    definition = {
        "name": "Condition",
        "nodes": [condition, chat("near", "قريب"), chat("far", "بعيد"), chat("last", "شكراً")],
        "connections": [
            arrow("where", "near", "true"),
            arrow("where", "far", "false"),
            arrow("near", "last"),
            arrow("far", "last"),
        ],
    }
    await api.publish("condition", definition)
    run_id = await api.start_run("condition", person.id, run_input={"open": True})
    run = await api.wait_for_run(run_id)

    assert run["status"] == "succeeded"
    assert statuses(run) == {
        "where": "succeeded", taken: "succeeded", other: "skipped", "last": "succeeded",
    }  # fmt: skip
    texts = [message.text for message in await whatsapp.messages(to=person.wa_id)]
    assert texts == ["قريب" if taken == "near" else "بعيد", "شكراً"]


async def test_branches_run_side_by_side_and_join(
    api: RestClient, whatsapp: WhatsAppSimulatorClient, people: People
) -> None:
    person = await people.make()
    first = {"id": "first", "type": "noop", "config": {"value": "ن"}}
    definition = {
        "name": "Join",
        "nodes": [
            first,
            chat("left", "يسار {{nodes.first.output.value}}"),
            chat("right-side", "يمين"),
            chat(
                "join", '{{nodes.left.output.messageId}} {{nodes["right-side"].output.messageId}}'
            ),
        ],
        "connections": [
            arrow("first", "left"),
            arrow("first", "right-side"),
            arrow("left", "join"),
            arrow("right-side", "join"),
        ],
    }
    await api.publish("join", definition)
    run = await api.wait_for_run(await api.start_run("join", person.id))

    messages = await whatsapp.messages(to=person.wa_id)
    ids = {message.text.split(" ")[0]: message.message_id for message in messages}
    assert run["status"] == "succeeded"
    assert sorted(statuses(run)) == ["first", "join", "left", "right-side"]
    assert len(messages) == 3
    assert messages[2].text == f"{ids['يسار']} {ids['يمين']}"
    assert {messages[0].text, messages[1].text} == {"يسار ن", "يمين"}


async def test_a_failing_node_ends_the_run_with_its_reason(
    api: RestClient, whatsapp: WhatsAppSimulatorClient, people: People
) -> None:
    person = await people.make()
    await whatsapp.fail_next(131026, match={"to": person.phone})
    definition = {
        "name": "Failing",
        "nodes": [chat("first", "أولاً"), chat("second", "ثانياً")],
        "connections": [arrow("first", "second")],
    }
    await api.publish("failing", definition)
    run = await api.wait_for_run(await api.start_run("failing", person.id))

    assert run["status"] == "failed"
    failed = next(each for each in run["executions"] if each["nodeId"] == "first")
    assert failed["status"] == "failed"
    assert "131026" in str(failed["error"])
    assert "first" in str(run["error"])
    assert statuses(run).get("second") in (None, "cancelled", "skipped")
    assert await whatsapp.messages(to=person.wa_id) == []


async def test_who_has_no_phone_cannot_be_written_to(api: RestClient, people: People) -> None:
    person = await people.make(phone=None)
    await api.publish("no-phone", {"name": "No phone", "nodes": [chat("only", "أهلاً")]})
    run = await api.wait_for_run(await api.start_run("no-phone", person.id))
    assert run["status"] == "failed"
    assert run["executions"][0]["error"]["code"] == "missing_recipient"


async def test_who_refused_a_channel_is_not_written_to(
    api: RestClient, inbox: InboxClient, whatsapp: WhatsAppSimulatorClient, people: People
) -> None:
    person = await people.make(consent={"whatsapp": False, "email": True})
    mail = {"id": "mail", "type": "email", "config": {"subject": "أهلاً", "body": "أهلاً"}}
    definition = {"name": "Consent", "nodes": [mail, chat("chat", "أهلاً")]}
    await api.publish("consent", definition)
    run = await api.wait_for_run(await api.start_run("consent", person.id))
    skipped = next(each for each in run["executions"] if each["nodeId"] == "chat")
    assert statuses(run) == {"mail": "succeeded", "chat": "skipped"}
    assert "consent" in str(skipped["error"] or skipped["output"])
    assert len(await inbox.messages(to=person.email)) == 1
    assert await whatsapp.messages(to=person.wa_id) == []


async def test_a_run_keeps_the_version_that_it_was_started_with(
    api: RestClient, whatsapp: WhatsAppSimulatorClient, people: People
) -> None:
    person = await people.make()
    first = await api.publish("versions", {"name": "V", "nodes": [chat("only", "واحد")]})
    run_id = await api.start_run("versions", person.id)
    second = await api.publish("versions", {"name": "V", "nodes": [chat("only", "اثنان")]})
    run = await api.wait_for_run(run_id)
    newer = await api.wait_for_run(await api.start_run("versions", person.id))
    assert (run["version"], newer["version"]) == (first, second)
    texts = [message.text for message in await whatsapp.messages(to=person.wa_id)]
    assert texts == ["واحد", "اثنان"]
