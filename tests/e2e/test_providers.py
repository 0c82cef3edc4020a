"""What providers do wrong, and what becomes of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mirsal_testing.rest import RestClient
    from mirsal_testing.simulators.smtp.client import InboxClient
    from mirsal_testing.simulators.whatsapp.client import WhatsAppSimulatorClient

    from tests.e2e.conftest import People

pytestmark = pytest.mark.e2e

QUICK_RETRY = {"attempts": 4, "backoffSeconds": 0.2, "maxBackoffSeconds": 0.5}


def one_node(kind: str, config: dict[str, Any], **more: Any) -> dict[str, Any]:
    node = {"id": "only", "type": kind, "config": config, "retry": QUICK_RETRY, **more}
    return {"name": "One node", "nodes": [node]}


CHAT = one_node("whatsapp", {"text": "أهلاً"})
MAIL = one_node("email", {"subject": "أهلاً", "body": "أهلاً"})


async def test_errors_that_pass_are_tried_again(
    api: RestClient, whatsapp: WhatsAppSimulatorClient, people: People
) -> None:
    person = await people.make()
    await whatsapp.fail_next(131000, times=2, match={"to": person.phone})
    await api.publish("transient", CHAT)
    run = await api.wait_for_run(await api.start_run("transient", person.id))
    (execution,) = run["executions"]
    (message,) = await whatsapp.messages(to=person.wa_id)
    assert (await whatsapp.rules())[-1]["applied"] == 2
    assert (run["status"], execution["retryCount"]) == ("succeeded", 2)
    assert (message.callback_data or "").endswith(".3")


async def test_tries_come_to_an_end(
    api: RestClient, whatsapp: WhatsAppSimulatorClient, people: People
) -> None:
    person = await people.make()
    await whatsapp.fail_next(131000, times=9, match={"to": person.phone})
    await api.publish("hopeless", CHAT)
    run = await api.wait_for_run(await api.start_run("hopeless", person.id))
    assert run["status"] == "failed"
    assert run["executions"][0]["retryCount"] == run["executions"][0]["maxRetries"] == 3
    assert (await whatsapp.rules())[-1]["applied"] == 4


async def test_throttling_costs_no_try(
    api: RestClient, whatsapp: WhatsAppSimulatorClient, people: People
) -> None:
    person = await people.make()
    error = {"code": 130429, "status": 429, "retryAfter": 1}
    (rule,) = await whatsapp.add_rules(
        {"times": 2, "match": {"to": person.phone}, "action": {"error": error}}
    )
    once = one_node("whatsapp", {"text": "أهلاً"}, retry={"attempts": 1})
    await api.publish("throttled", once)
    run = await api.wait_for_run(await api.start_run("throttled", person.id), seconds=60)
    (execution,) = run["executions"]
    calls = [call for call in await whatsapp.calls() if call["to"] == rule["match"]["to"]]
    assert (run["status"], execution["retryCount"]) == ("succeeded", 0)
    assert [call["outcome"] for call in calls] == ["error", "error", "accepted"]
    assert len(await whatsapp.messages(to=person.wa_id)) == 1


@pytest.mark.parametrize("drop", ["after", "before"])
async def test_a_lost_answer_is_unconfirmed_and_never_sent_again(
    api: RestClient, whatsapp: WhatsAppSimulatorClient, people: People, drop: str
) -> None:
    person = await people.make()
    (rule,) = await whatsapp.add_rules(
        {"times": 1, "match": {"to": person.phone}, "action": {"drop": drop}}
    )
    await api.publish("dropped", CHAT)
    run = await api.wait_for_run(await api.start_run("dropped", person.id))
    calls = [call for call in await whatsapp.calls() if call["to"] == rule["match"]["to"]]
    assert (await whatsapp.rules())[-1]["applied"] == 1
    assert run["status"] == "unconfirmed"
    assert run["executions"][0]["status"] == "unconfirmed"
    assert len(calls) == 1
    assert len(await whatsapp.messages(to=person.wa_id)) == (1 if drop == "after" else 0)


async def test_who_wants_it_gets_a_lost_message_again(
    api: RestClient, whatsapp: WhatsAppSimulatorClient, people: People
) -> None:
    person = await people.make()
    action = {"drop": "before"}
    await whatsapp.add_rules({"times": 1, "match": {"to": person.phone}, "action": action})
    resend = one_node("whatsapp", {"text": "أهلاً"}, onUnconfirmed="resend")
    await api.publish("resend", resend)
    run = await api.wait_for_run(await api.start_run("resend", person.id))
    assert (await whatsapp.rules())[-1]["applied"] == 1
    assert run["status"] == "succeeded"
    assert len(await whatsapp.messages(to=person.wa_id)) == 1


async def test_a_mailbox_that_is_busy_is_tried_again(
    api: RestClient, inbox: InboxClient, people: People
) -> None:
    person = await people.make()
    await inbox.fail_next("rcpt", 451, "4.3.0 try later", times=2, match={"to": person.email})
    await api.publish("busy-mailbox", MAIL)
    run = await api.wait_for_run(await api.start_run("busy-mailbox", person.id))
    assert (await inbox.rules())[-1]["applied"] == 2
    assert (run["status"], run["executions"][0]["retryCount"]) == ("succeeded", 2)
    assert len(await inbox.messages(to=person.email)) == 1


async def test_an_unknown_mailbox_fails_at_once(
    api: RestClient, inbox: InboxClient, people: People
) -> None:
    person = await people.make()
    await inbox.fail_next("rcpt", 550, "5.1.1 no such user", times=9, match={"to": person.email})
    await api.publish("no-mailbox", MAIL)
    run = await api.wait_for_run(await api.start_run("no-mailbox", person.id))
    assert run["status"] == "failed"
    assert "5.1.1" in str(run["executions"][0]["error"])
    assert (await inbox.rules())[-1]["applied"] == 1


async def test_an_account_that_needs_a_person_waits_for_one(
    api: RestClient, whatsapp: WhatsAppSimulatorClient, people: People
) -> None:
    person = await people.make()
    await whatsapp.fail_next(190, times=9, match={"to": person.phone})
    await api.publish("revoked", CHAT)
    run = await api.wait_for_run(await api.start_run("revoked", person.id))
    assert (run["status"], run["executions"][0]["status"]) == ("paused", "waiting")
    assert (await whatsapp.rules())[-1]["applied"] == 1
