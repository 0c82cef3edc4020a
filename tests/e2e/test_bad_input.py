"""Bad input of every kind is refused with where it is wrong, and nothing of it reaches Kafka."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from mirsal_contracts.topics import EXECUTIONS_REQUESTED_V1

if TYPE_CHECKING:
    from mirsal_testing.rest import RestClient
    from mirsal_testing.stack import Stack

    from tests.e2e.conftest import People

pytestmark = pytest.mark.e2e

GOOD = {"id": "a", "type": "whatsapp", "config": {"text": "أهلاً"}}
OTHER = {**GOOD, "id": "b"}


async def count_requests(stack: Stack) -> int:
    """How many runs have ever been requested of this stack, by Kafka's own end offsets."""
    topic = EXECUTIONS_REQUESTED_V1
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.environment["KAFKA_BOOTSTRAP_SERVERS"])
    await consumer.start()
    try:
        async with asyncio.timeout(10):
            parts = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
            return sum((await consumer.end_offsets(parts)).values())
    finally:
        await consumer.stop()


def pointers(problem: dict[str, Any]) -> list[str]:
    return [error.get("pointer", "") for error in problem.get("errors", [])]


@pytest.mark.parametrize(
    ("nodes", "connections", "pointer"),
    [
        ([{**GOOD, "type": "fax"}], [], "/nodes/0/type"),
        ([{**GOOD, "id": "a b"}], [], "/nodes/0/id"),
        ([GOOD, GOOD], [], "/nodes/1/id"),
        ([{**GOOD, "config": {}}], [], "/nodes/0/config"),
        ([{**GOOD, "config": {"text": "{{lead.name"}}], [], "/nodes/0/config/text"),
        ([GOOD], [{"from": "a", "to": "z"}], "/connections/0/to"),
        ([GOOD, OTHER], [{"from": "a", "to": "b"}, {"from": "b", "to": "a"}], "/connections"),
        (
            [{"id": "a", "type": "condition", "config": {"if": "lead.name =="}}],
            [],
            "/nodes/0/config/if",
        ),
    ],
)
async def test_a_broken_workflow_is_refused_with_a_pointer(
    api: RestClient, nodes: list[Any], connections: list[Any], pointer: str
) -> None:
    body = {"name": "Broken", "nodes": nodes, "connections": connections}
    answer = await api.http.put("/workflow/broken", json=body)
    assert answer.status_code == 422, answer.text
    assert any(found.startswith(pointer) for found in pointers(answer.json())), answer.text
    assert (await api.http.get("/workflow/broken")).status_code == 403


async def test_refused_starts_leave_nothing_in_kafka(
    stack: Stack, api: RestClient, people: People
) -> None:
    person = await people.make()
    await api.publish("strict", {"name": "Strict", "nodes": [GOOD]})
    before = await count_requests(stack)
    path = "/workflow/strict/run"
    headers = {"content-type": "application/json"}

    wrong_json = await api.http.post(path, content=b'{"leadId": ', headers=headers)
    unknown_lead = await api.http.post(path, json={"leadId": "nobody"})
    unknown_leads = await api.http.post(path, json={"leadIds": [person.id, "nobody"]})
    unknown_flow = await api.http.post("/workflow/none/run", json={"leadId": person.id})
    too_large = await api.http.post(
        path, json={"leadId": person.id, "input": {"x": "a" * 2_000_000}}
    )
    no_key = await api.http.post(path, json={"leadId": person.id}, headers={"x-api-key": "wrong"})

    assert (wrong_json.status_code, pointers(wrong_json.json())) == (422, [""])
    assert unknown_lead.status_code == 404
    assert (unknown_leads.status_code, pointers(unknown_leads.json())) == (404, ["/leadIds/1"])
    assert (unknown_flow.status_code, unknown_flow.json()["error"]) == (403, "Access denied")
    assert too_large.status_code == 413
    assert (no_key.status_code, no_key.json()["error"]) == (401, "Invalid API key")
    assert await count_requests(stack) == before

    await api.start_run("strict", person.id)
    assert await count_requests(stack) == before + 1
