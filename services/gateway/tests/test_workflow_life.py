"""Workflows besides saving them: looked at beforehand, switched off and on, taken elsewhere."""

import secrets
from typing import Any

import pytest

from services.gateway.tests.conftest import WELCOME, Gateway

API = "/api/automation"
WORKFLOW = f"{API}/workflow/welcome"
CRON = {"type": "schedule", "cron": "0 9 * * *"}


async def start(gateway: Gateway, ending: str, body: dict[str, Any]) -> int:
    """The status of a start, after which the topic of requests holds what it promises."""
    before = await gateway.count_requests()
    answer = await gateway.client.post(WORKFLOW + ending, json=body)
    started = 1 if answer.status_code == 202 and ending == "/run" else 0
    assert await gateway.count_requests() >= before + started
    if answer.status_code == 409:
        assert answer.json()["error"] == "Conflict"
        assert await gateway.count_requests() == before
    return answer.status_code


async def test_a_workflow_that_is_not_active_takes_no_starts(gateway: Gateway) -> None:
    await gateway.put_welcome()
    starts: list[tuple[str, dict[str, Any]]] = [
        ("/run", {"leadId": "ahmed"}),
        ("/run", {"leadIds": ["ahmed"]}),
        ("/runs", {"leadIds": ["ahmed"]}),
    ]
    for _ in range(2):
        off = await gateway.client.post(f"{WORKFLOW}/deactivate")
        assert (off.status_code, off.json()["isActive"]) == (200, False)
    assert (await gateway.client.get(WORKFLOW)).json() == off.json()
    for ending, body in starts:
        assert await start(gateway, ending, body) == 409
    assert await start(gateway, "/run", {"leadId": "nobody"}) == 404
    saved = await gateway.client.put(WORKFLOW, json={**WELCOME, "name": "Another"})
    assert saved.json()["isActive"] is False, "a new version does not switch it on"
    on = await gateway.client.post(f"{WORKFLOW}/activate")
    assert (on.status_code, on.json()["isActive"], on.json()["version"]) == (200, True, 2)
    for ending, body in starts:
        assert await start(gateway, ending, body) == 202


async def test_what_saving_refuses_is_refused_before_it_is_saved(gateway: Gateway) -> None:
    validate = f"{API}/workflows/validate"
    good = await gateway.client.post(validate, json=WELCOME)
    assert (good.status_code, good.json()) == (200, {"isValid": True})
    assert (await gateway.client.get(f"{API}/workflows")).json()["items"] == []
    node = {"id": "n", "type": "email", "config": {"subject": "{{nodes.x.output.y}}"}}
    named = {"id": "m", "type": "whatsapp", "config": {"text": "x", "credentialId": "nobodys"}}
    for nodes in ([node], [named], []):
        wrong = {**WELCOME, "nodes": nodes, "connections": []}
        told = await gateway.client.post(validate, json=wrong)
        saving = await gateway.client.put(WORKFLOW, json=wrong)
        assert told.status_code == saving.status_code == 422
        assert told.json() == saving.json()
        assert told.json()["errors"]


@pytest.mark.parametrize("description", [None, "يرحب"])
async def test_what_is_exported_can_be_saved_anywhere(
    gateway: Gateway, description: str | None
) -> None:
    nodes = [
        {**WELCOME["nodes"][0], "timeoutSeconds": 20.5, "retry": {"attempts": 2}},
        {**WELCOME["nodes"][1], "onUnconfirmed": "resend"},
    ]
    whole = {**WELCOME, "description": description, "nodes": nodes, "triggers": [CRON]}
    first = await gateway.client.put(WORKFLOW, json=whole)
    assert first.status_code == 201, first.text
    exported = await gateway.client.get(f"{WORKFLOW}/export")
    assert exported.headers["content-disposition"] == 'attachment; filename="welcome.json"'
    again = await gateway.client.put(WORKFLOW, content=exported.content)
    assert (again.status_code, again.json()["version"]) == (200, 1), "it says the same"
    stranger = await gateway.add_key(f"w-{secrets.token_hex(4)}")
    elsewhere = await gateway.client.post(
        f"{API}/workflow", content=exported.content, headers={"x-api-key": stranger}
    )
    assert elsewhere.status_code == 201, elsewhere.text
    members = ("name", "description", "nodes", "connections", "triggers")
    assert {name: elsewhere.json()[name] for name in members} == exported.json()
