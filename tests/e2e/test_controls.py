"""What people want of runs, with real workers: nobody is written to twice, whatever they want."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mirsal_testing.rest import RestClient
    from mirsal_testing.simulators.whatsapp.client import WhatsAppSimulatorClient

    from tests.e2e.conftest import People, Person

pytestmark = pytest.mark.e2e

CHAT = {
    "name": "One message",
    "nodes": [{"id": "only", "type": "whatsapp", "config": {"text": "أهلاً"}}],
}
PATIENCE_SECONDS = 30
DELAY = {"times": 1, "action": {"delayMs": 3000}}


async def begin(
    api: RestClient, whatsapp: WhatsAppSimulatorClient, person: Person, rule: dict[str, Any]
) -> str:
    """Start a run whose first message meets this rule; its id, once the simulator has the call."""
    await whatsapp.add_rules({**rule, "match": {"to": person.phone}})
    await api.publish("controlled", CHAT)
    run_id = await api.start_run("controlled", person.id)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (await whatsapp.rules())[-1]["applied"]:
            await asyncio.sleep(0.02)
    return run_id


async def cancel(api: RestClient, run_id: str) -> dict[str, Any]:
    """Cancel a run; as it is then."""
    await api.call("POST", f"/run/{run_id}/cancel")
    return await api.call("GET", f"/run/{run_id}", params={"wait": "20s"})


async def test_what_is_on_its_way_at_a_cancel_is_recorded_and_a_retry_does_not_repeat_it(
    api: RestClient, whatsapp: WhatsAppSimulatorClient, people: People
) -> None:
    person = await people.make()
    run_id = await begin(api, whatsapp, person, DELAY)
    run = await cancel(api, run_id)
    assert (run["status"], run["executions"][0]["status"]) == ("cancelled", "cancelled")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while run["executions"][0]["output"] is None:
            await asyncio.sleep(0.1)
            run = await api.read_run(run_id)
    assert run["executions"][0]["error"]["details"] == {"late": "success"}
    assert run["status"] == "cancelled"
    await api.call("POST", f"/run/{run_id}/retry")
    run = await api.wait_for_run(run_id, among=frozenset({"succeeded"}))
    assert len(await whatsapp.messages(to=person.wa_id)) == 1


async def test_a_retry_while_it_is_on_its_way_waits_for_what_becomes_of_it(
    api: RestClient, whatsapp: WhatsAppSimulatorClient, people: People
) -> None:
    person = await people.make()
    run_id = await begin(api, whatsapp, person, DELAY)
    await cancel(api, run_id)
    await api.call("POST", f"/run/{run_id}/retry")
    run = await api.wait_for_run(run_id, among=frozenset({"succeeded"}))
    assert run["executions"][0]["output"] is not None
    assert len(await whatsapp.messages(to=person.wa_id)) == 1


@pytest.mark.parametrize(
    ("verdict", "status", "messages"),
    [("sent", "succeeded", 1), ("resend", "succeeded", 2), ("give_up", "failed", 1)],
)
async def test_a_person_decides_what_nobody_knows(
    api: RestClient,
    whatsapp: WhatsAppSimulatorClient,
    people: People,
    verdict: str,
    status: str,
    messages: int,
) -> None:
    person = await people.make()
    run_id = await begin(api, whatsapp, person, {"times": 1, "action": {"drop": "after"}})
    run = await api.call("GET", f"/run/{run_id}", params={"wait": "20s"})
    assert run["status"] == "unconfirmed"
    path = f"/execution/{run['executions'][0]['executionId']}/decision"
    await api.call("POST", path, json={"verdict": verdict})
    run = await api.wait_for_run(run_id, among=frozenset({"succeeded", "failed"}))
    assert run["status"] == status
    assert len(await whatsapp.messages(to=person.wa_id)) == messages


async def test_a_run_that_failed_goes_on_after_its_cause_is_gone(
    api: RestClient, whatsapp: WhatsAppSimulatorClient, people: People
) -> None:
    person = await people.make()
    rule = {"times": 1, "action": {"error": {"code": 131026}}}
    run_id = await begin(api, whatsapp, person, rule)
    run = await api.call("GET", f"/run/{run_id}", params={"wait": "20s"})
    assert run["status"] == "failed"
    await api.call("POST", f"/run/{run_id}/retry")
    await api.wait_for_run(run_id, among=frozenset({"succeeded"}))
    assert len(await whatsapp.messages(to=person.wa_id)) == 1
