"""A customer's endpoint hears of a run that was started over REST, and believes it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from mirsal_testing.webhook_receiver import Receiver, Reply
from standardwebhooks import Webhook

if TYPE_CHECKING:
    from mirsal_testing.rest import RestClient

    from tests.e2e.conftest import People

pytestmark = pytest.mark.e2e
WORKFLOW = {"name": "Told", "nodes": [{"id": "nothing", "type": "noop", "config": {}}]}


async def test_an_endpoint_is_told_of_a_run(api: RestClient, people: People) -> None:
    person = await people.make()
    await api.call("PUT", "/workflow/told", json=WORKFLOW)
    async with Receiver() as receiver:
        draft = {
            "url": f"{receiver.url}/hook",
            "eventTypes": ["run.succeeded"],
            "workflowIds": ["told"],
        }
        webhook = await api.call("POST", "/webhooks", json=draft)
        path = f"/webhook/{webhook['webhookId']}"
        receiver.replies["/hook"] = [Reply(503), Reply(204)]
        tested = await api.call("POST", f"{path}/test")
        rotated = await api.call("POST", f"{path}/rotate", json={"overlapHours": 1})
        run = await api.call("POST", "/workflow/told/run", json={"leadId": person.id})
        async with asyncio.timeout(60):
            while True:
                listed = await api.call("GET", f"{path}/deliveries")
                states = {item["eventType"]: item["state"] for item in listed["items"]}
                if states == {"webhook.test": "delivered", "run.succeeded": "delivered"}:
                    break
                await asyncio.sleep(0.2)
        for secret in (webhook["secret"], rotated["secret"]):
            call = receiver.calls[-1]
            Webhook(secret).verify(call.body, dict(call.headers))
        told: list[dict[str, Any]] = [
            Webhook(webhook["secret"]).verify(call.body, dict(call.headers))
            for call in receiver.calls
        ]
        ended = next(event for event in told if event["type"] == "run.succeeded")
        assert ended["data"]["runId"] == run["runId"]
        assert ended["data"]["leadId"] == person.id
        delivery = await api.call("GET", f"{path}/delivery/{tested['deliveryId']}")
        assert delivery["eventType"] == "webhook.test"
        await api.call("DELETE", path)
