"""The platform with a part of it away: what the door says, and that work goes on afterwards."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mirsal_testing.rest import RestClient
    from mirsal_testing.simulators.whatsapp.client import WhatsAppSimulatorClient
    from mirsal_testing.stack import Stack

    from tests.e2e.conftest import People

pytestmark = pytest.mark.e2e

CHAT = {
    "name": "One message",
    "nodes": [{"id": "only", "type": "whatsapp", "config": {"text": "أهلاً"}}],
}


async def finish_one(
    api: RestClient, whatsapp: WhatsAppSimulatorClient, people: People
) -> dict[str, Any]:
    person = await people.make()
    await api.publish("after-restart", CHAT)
    run = await api.wait_for_run(await api.start_run("after-restart", person.id))
    assert len(await whatsapp.messages(to=person.wa_id)) == 1
    return run


async def until_unready(api: RestClient) -> None:
    """Returns when the readiness call says so; a check may be some seconds old."""
    async with asyncio.timeout(15):
        while True:
            answer = await api.http.get("/health")
            if answer.status_code == 503:
                assert "kafka" in answer.text.lower()
                return
            await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    "part", ["kafka", "postgres", "valkey", "gateway", "orchestrator", "whatsapp-worker"]
)
async def test_work_goes_on_after_a_kill(
    stack: Stack, api: RestClient, whatsapp: WhatsAppSimulatorClient, people: People, part: str
) -> None:
    starts = stack.starts(part)
    pid = stack.kill(part)
    await stack.wait_ready()
    assert stack.starts(part) == starts + 1
    assert pid not in stack.pids(part).values()
    run = await finish_one(api, whatsapp, people)
    assert run["status"] == "succeeded"


async def test_without_kafka_nothing_is_accepted(
    stack: Stack, api: RestClient, whatsapp: WhatsAppSimulatorClient, people: People
) -> None:
    person = await people.make()
    await api.publish("no-kafka", CHAT)
    path = "/workflow/no-kafka/run"
    with stack.held("kafka"):
        began = time.monotonic()
        answer = await api.http.post(path, json={"leadId": person.id})
        seconds = time.monotonic() - began
        await until_unready(api)
    await stack.wait_ready(60)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    # A bar of the product, not of this machine: the caller hears within 5 s.
    assert seconds < 6
    run_id = await api.start_run("no-kafka", person.id)
    assert (await api.wait_for_run(run_id))["status"] == "succeeded"


async def test_runs_wait_for_a_worker_that_is_away(
    stack: Stack, api: RestClient, whatsapp: WhatsAppSimulatorClient, people: People
) -> None:
    person = await people.make()
    await api.publish("no-worker", CHAT)
    with stack.held("whatsapp-worker"):
        run_id = await api.start_run("no-worker", person.id)
        waiting = await api.wait_for_run(run_id, among=frozenset({"running"}))
        assert waiting["executions"][0]["status"] == "queued"
        assert await whatsapp.messages(to=person.wa_id) == []
    run = await api.wait_for_run(run_id, seconds=60)
    assert run["status"] == "succeeded"
    assert len(await whatsapp.messages(to=person.wa_id)) == 1
