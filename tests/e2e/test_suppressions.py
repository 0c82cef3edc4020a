"""An address that may not be written to: what runs and direct calls of the workspace send it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from mirsal_runtime.suppressions import FRESH_SECONDS

from tests.e2e.searching import find_in_logs, find_in_tables
from tests.e2e.test_providers import one_node

if TYPE_CHECKING:
    from mirsal_testing.rest import RestClient
    from mirsal_testing.simulators.smtp.client import InboxClient
    from mirsal_testing.simulators.whatsapp.client import WhatsAppSimulatorClient
    from mirsal_testing.stack import Stack

    from tests.e2e.conftest import People

pytestmark = pytest.mark.e2e

PATIENCE_SECONDS = 20
MAIL = {"subject": "أهلاً", "body": "أهلاً"}
CHAT = {"text": "أهلاً"}


async def deny(api: RestClient, channel: str, address: str) -> str:
    """List an address, and wait until the connectors know; its id."""
    draft = {"channel": channel, "address": address, "reason": "unsubscribed"}
    listed = await api.call("POST", "/suppressions", json=draft)
    await asyncio.sleep(FRESH_SECONDS)
    return str(listed["suppressionId"])


async def refused_since(api: RestClient, run_id: str, before: str | None) -> str:
    """Wait until the run's one node was refused after `before`; when it was."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            run = await api.wait_for_run(run_id)
            (tried,) = run["executions"]
            if tried["endTime"] not in {None, before}:
                break
            await asyncio.sleep(0.1)
    assert (run["status"], tried["error"]["code"]) == ("failed", "recipient_suppressed")
    return str(tried["endTime"])


async def test_who_unsubscribed_gets_no_mail_until_the_entry_is_removed(
    api: RestClient, stack: Stack, inbox: InboxClient, people: People
) -> None:
    person, other = await people.make(), await people.make()
    entry = await deny(api, "email", person.email.upper())
    await api.publish("unsubscribed", one_node("email", {**MAIL, "bcc": other.email}))
    run_id = await api.start_run("unsubscribed", person.id)
    ended = await refused_since(api, run_id, None)
    await api.call("POST", f"/run/{run_id}/retry")
    await refused_since(api, run_id, ended)
    addresses = [person.email, person.email.upper()]
    assert not await find_in_tables(stack, addresses)
    assert not find_in_logs(stack, addresses)
    assert await find_in_tables(stack, [other.email]), "an author's own word, in the workflow"
    assert not await inbox.messages(to=person.email)
    assert not await inbox.messages(to=other.email), "a message goes to all or to nobody"
    await api.call("DELETE", f"/suppression/{entry}")
    await api.call("POST", f"/run/{run_id}/retry")
    await api.wait_for_run(run_id, among=frozenset({"succeeded"}))
    assert len(await inbox.messages(to=person.email)) == 1


async def test_a_direct_call_writes_to_no_denied_number_either(
    api: RestClient, whatsapp: WhatsAppSimulatorClient, people: People
) -> None:
    person = await people.make()
    await deny(api, "whatsapp", person.phone)
    await api.publish("denied", one_node("whatsapp", CHAT))
    body = {"leadId": person.id, "workflowId": "denied", "nodeId": "direct", "config": CHAT}
    started = await api.call("POST", "/whatsapp/send", json=body)
    run = await api.wait_for_run(started["runId"])
    assert run["executions"][0]["error"]["code"] == "recipient_suppressed"
    assert not await whatsapp.messages(to=person.wa_id)
