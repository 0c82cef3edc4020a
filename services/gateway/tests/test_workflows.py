"""Saving and reading workflows."""

import asyncio
from copy import deepcopy

import orjson
import pytest

from services.gateway.tests.conftest import WELCOME, Gateway

PATH = "/api/automation/workflow"
READ_GRAPH = "SELECT nodes::text FROM gateway.workflow_versions WHERE workspace = $1"


async def test_every_change_is_a_new_version(gateway: Gateway) -> None:
    first = await gateway.client.put(f"{PATH}/welcome", json=WELCOME)
    assert first.status_code == 201
    assert first.json()["version"] == 1
    changed = {**deepcopy(WELCOME), "description": "better"}
    second = await gateway.client.put(f"{PATH}/welcome", json=changed)
    assert second.status_code == 200
    found = second.json()
    assert (found["version"], found["description"]) == (2, "better")
    assert found["createdAt"] == first.json()["createdAt"] < found["updatedAt"]
    assert found["id"] == first.json()["id"]
    assert found["isActive"] is True
    assert (await gateway.client.get(f"{PATH}/welcome")).json() == found
    for number, description in ((1, None), (2, "better")):
        version = await gateway.client.get(f"{PATH}/welcome/versions/{number}")
        assert version.status_code == 200
        assert version.json()["description"] == description
        assert version.json()["nodes"] == WELCOME["nodes"]
    assert (await gateway.client.get(f"{PATH}/welcome/versions/3")).status_code == 404
    assert (await gateway.client.get(f"{PATH}/welcome/versions/0")).status_code == 422


async def test_a_save_that_changes_nothing_makes_no_version(gateway: Gateway) -> None:
    first = await gateway.client.put(f"{PATH}/welcome", json=WELCOME)
    again = await gateway.client.put(f"{PATH}/welcome", json=dict(reversed(list(WELCOME.items()))))
    assert again.status_code == 200
    assert again.json() == first.json()


async def test_members_of_a_config_keep_their_order(gateway: Gateway) -> None:
    values = {"Name": "{{lead.name}}", "Phone": "{{lead.phone}}", "City": "Cairo", "E-mail": "x"}
    config = {"operation": "append", "spreadsheetId": "1Bx", "sheet": "Leads", "values": values}
    body = {"name": "Rows", "nodes": [{"id": "row", "type": "google_sheets", "config": config}]}
    saved = await gateway.client.put("/api/automation/workflow/rows", json=body)
    read = await gateway.client.get("/api/automation/workflow/rows")
    version = await gateway.client.get("/api/automation/workflow/rows/versions/1")
    for answer in (saved, read, version):
        assert list(answer.json()["nodes"][0]["config"]["values"]) == list(values)
    graph = await gateway.sql.fetchval(READ_GRAPH, gateway.workspace)
    assert list(orjson.loads(graph)[0]["config"]["values"]) == list(values)


async def test_saves_at_once_get_numbers_of_their_own(gateway: Gateway) -> None:
    answers = await asyncio.gather(
        *(
            gateway.client.put(f"{PATH}/welcome", json={**WELCOME, "description": str(number)})
            for number in range(12)
        )
    )
    assert sorted(answer.json()["version"] for answer in answers) == list(range(1, 13))
    assert [answer.status_code for answer in answers].count(201) == 1
    listed = await gateway.client.get(f"{PATH}/welcome/versions?limit=200")
    assert [each["version"] for each in listed.json()["items"]] == list(range(1, 13))


async def test_the_server_makes_an_id_where_none_is_given(gateway: Gateway) -> None:
    created = await gateway.client.post(PATH, json=WELCOME)
    assert created.status_code == 201
    found = await gateway.client.get(created.headers["location"])
    assert found.json() == created.json()


async def test_lists_are_paged_oldest_first(gateway: Gateway) -> None:
    for number in range(5):
        await gateway.client.put(f"{PATH}/w{number}", json=WELCOME)
    seen: list[str] = []
    cursor = ""
    while True:
        query = f"?limit=2{cursor}"
        page = (await gateway.client.get(f"{PATH}s{query}")).json()
        assert len(page["items"]) <= 2
        seen += [each["workflowId"] for each in page["items"]]
        # A change of what was read moves nothing.
        await gateway.client.put(f"{PATH}/{seen[0]}", json={**WELCOME, "description": cursor})
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert seen == ["w0", "w1", "w2", "w3", "w4"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{PATH}/welcome"),
        ("GET", f"{PATH}/welcome/versions"),
        ("GET", f"{PATH}/welcome/versions/1"),
        ("GET", f"{PATH}/welcome/logs"),
        ("POST", f"{PATH}/welcome/run"),
        ("GET", f"{PATH}/none"),
        ("GET", f"{PATH}/none/versions?limit=0"),
        ("GET", f"{PATH}/none/logs?status=odd"),
        ("GET", f"{PATH}/none/logs?cursor=odd"),
        ("POST", f"{PATH}/none/run"),
    ],
)
async def test_another_workspace_sees_what_is_there_for_nobody(
    gateway: Gateway, method: str, path: str
) -> None:
    await gateway.put_welcome()
    key = await gateway.add_key("another")
    answer = await gateway.client.request(method, path, headers={"x-api-key": key})
    assert answer.status_code == 403
    assert answer.json()["error"] == "Access denied"
    listed = await gateway.client.get(f"{PATH}s", headers={"x-api-key": key})
    assert listed.json() == {"items": [], "nextCursor": None}


async def test_two_workspaces_may_use_one_id(gateway: Gateway) -> None:
    await gateway.put_welcome()
    key = await gateway.add_key(f"{gateway.workspace}-2")
    saved = await gateway.client.put(
        f"{PATH}/welcome", json={**WELCOME, "name": "Other"}, headers={"x-api-key": key}
    )
    assert saved.status_code == 201
    assert (await gateway.client.get(f"{PATH}/welcome")).json()["name"] == "Welcome"


async def test_the_table_is_as_the_product_lists_it(gateway: Gateway) -> None:
    await gateway.put_welcome()
    row = await gateway.sql.fetchrow(
        "SELECT id, workflow_id, name, description, nodes, connections, triggers, is_active, "
        "created_by, created_at, updated_at FROM gateway.workflow_definitions "
        "WHERE workspace = $1",
        gateway.workspace,
    )
    assert row is not None
    assert row["nodes"] == WELCOME["nodes"]
    assert row["is_active"] is True
