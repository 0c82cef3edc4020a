"""Saving, reading and importing leads."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import orjson
import pytest
from gateway.leads.service import MOST_IMPORTS

from services.gateway.tests.conftest import AHMED, Gateway, MakeSettings, open_gateway

PATH = "/api/automation/lead"
NDJSON = {"content-type": "application/x-ndjson"}
CSV = {"content-type": "text/csv; charset=utf-8"}


async def test_a_lead_is_what_its_last_save_says(gateway: Gateway) -> None:
    created = await gateway.client.put(f"{PATH}/ahmed", json=AHMED)
    assert created.status_code == 201
    found = created.json()
    consent = {"email": True, "whatsapp": None}
    assert {**AHMED, "consent": consent}.items() <= found.items()
    assert found["leadId"] == found["id"] == "ahmed"
    replaced = await gateway.client.put(
        f"{PATH}/ahmed", json={"phone": "0100 123 4567", "locale": "ar-EG"}
    )
    assert replaced.status_code == 200
    assert (replaced.json()["phone"], replaced.json()["name"]) == ("+201001234567", None)
    assert (await gateway.client.get(f"{PATH}/ahmed")).json() == replaced.json()


@pytest.mark.parametrize("seals", [True, False])
async def test_saves_of_sealed_leads_need_no_second_connection(
    gateway: Gateway, make_settings: MakeSettings, seals: bool
) -> None:
    """More at once than there are connections, at a gateway that has seen none of their keys."""
    paths = [f"{PATH}/{number}" for number in range(12)]
    for path in paths:
        assert (await gateway.client.put(path, json=AHMED)).status_code == 201
    few = make_settings(database_connections=2, seal_leads=seals)
    async with open_gateway(few) as fresh:
        fresh.client.headers["x-api-key"] = await fresh.add_key(gateway.workspace)
        saves = (fresh.client.put(path, json={**AHMED, "name": "Sara"}) for path in paths)
        assert [each.status_code for each in await asyncio.gather(*saves)] == [200] * 12
        assert (await fresh.client.get(paths[0])).json()["name"] == "Sara"


async def test_an_unknown_lead_is_404_also_where_another_workspace_has_it(gateway: Gateway) -> None:
    await gateway.client.put(f"{PATH}/ahmed", json=AHMED)
    key = await gateway.add_key("another")
    for path, headers in ((f"{PATH}/sara", {}), (f"{PATH}/ahmed", {"x-api-key": key})):
        answer = await gateway.client.get(path, headers=headers)
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"email": "nobody"}, "/email"),
        ({"phone": "call me"}, "/phone"),
        ({"locale": "arabic egypt"}, "/locale"),
        ({"timeZone": "Cairo"}, "/timeZone"),
        ({"tags": ["a", 5]}, "/tags/1"),
        ({"fields": []}, "/fields"),
        ({"consent": {"email": "true"}}, "/consent/email"),
        ({"nmae": "x"}, "/nmae"),
        ({"fields": {"a": "x\0y"}}, "/fields/a"),
    ],
)
async def test_a_wrong_lead_is_refused(
    gateway: Gateway, body: dict[str, object], pointer: str
) -> None:
    answer = await gateway.client.put(f"{PATH}/ahmed", json=body)
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
    assert (await gateway.client.get(f"{PATH}/ahmed")).status_code == 404


@pytest.mark.parametrize("lead_id", ["a b", "-a", "a" * 129, "أحمد", "a%00b"])
async def test_an_id_has_a_form(gateway: Gateway, lead_id: str) -> None:
    answer = await gateway.client.put(f"{PATH}/{lead_id}", json=AHMED)
    assert answer.status_code in {404, 422}
    assert (await gateway.client.get(f"{PATH}/{lead_id}")).status_code == 404


async def test_leads_are_listed_oldest_first(gateway: Gateway) -> None:
    for number in range(5):
        await gateway.client.put(f"{PATH}/l{number}", json={"name": str(number)})
    first = (await gateway.client.get(f"{PATH}s?limit=3")).json()
    second = (await gateway.client.get(f"{PATH}s?limit=3&cursor={first['nextCursor']}")).json()
    names = [each["name"] for page in (first, second) for each in page["items"]]
    assert names == ["0", "1", "2", "3", "4"]
    assert second["nextCursor"] is None


async def test_two_hundred_leads_come_in_at_once(gateway: Gateway) -> None:
    lines = [
        orjson.dumps({"leadId": f"l{number}", **AHMED, "fields": {"n": number}})
        for number in range(200)
    ]
    body = b"\n".join(lines)
    started = time.perf_counter()
    answer = await gateway.client.post(f"{PATH}s", content=body, headers=NDJSON)
    seconds = time.perf_counter() - started
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "received": 200, "created": 200, "updated": 0, "failed": 0, "errors": []
    }  # fmt: skip
    again = await gateway.client.post(f"{PATH}s", content=body, headers=NDJSON)
    assert (again.json()["created"], again.json()["updated"]) == (0, 200)
    lead = (await gateway.client.get(f"{PATH}/l42")).json()
    assert (lead["name"], lead["fields"]) == (AHMED["name"], {"n": 42})
    # Far above what it takes, far below what a statement a lead would take on a busy machine.
    assert seconds < 5


async def test_wrong_lines_are_reported_and_right_ones_saved(gateway: Gateway) -> None:
    text = (
        "id,name,email,phone,locale,city\n"
        "a,أحمد,a@example.com,0100 123 4567,ar-EG,القاهرة\n"
        "b,Bad,nonsense,,,\n"
        "c,Cem,c@example.com,what,,İstanbul\n"
        "a,أحمد,a2@example.com,,,\n"
    )
    answer = await gateway.client.post(f"{PATH}s", content=text.encode(), headers=CSV)
    report = answer.json()
    assert (report["received"], report["created"], report["updated"], report["failed"]) == (
        4,
        1,
        1,
        2,
    )
    assert [(each["line"], each["pointer"]) for each in report["errors"]] == [
        (3, "/email"),
        (4, "/phone"),
    ]
    listed = (await gateway.client.get(f"{PATH}s")).json()["items"]
    assert [(each["id"], each["email"]) for each in listed] == [("a", "a2@example.com")]


async def test_an_import_may_be_larger_than_other_bodies(gateway: Gateway) -> None:
    async def lines() -> AsyncIterator[bytes]:
        for number in range(1_500):
            yield orjson.dumps({"leadId": f"l{number}", "fields": {"x": "y" * 1_000}}) + b"\n"

    answer = await gateway.client.post(f"{PATH}s", content=lines(), headers=NDJSON)
    assert answer.status_code == 200, answer.text
    assert answer.json()["created"] == 1_500


async def test_faults_are_counted_beyond_those_that_are_shown(gateway: Gateway) -> None:
    body = b"{}\n" * 150
    report = (await gateway.client.post(f"{PATH}s", content=body, headers=NDJSON)).json()
    assert (report["failed"], len(report["errors"])) == (150, 100)


async def test_an_import_says_what_it_takes(gateway: Gateway) -> None:
    answer = await gateway.client.post(f"{PATH}s", json=[AHMED])
    assert answer.status_code == 415
    answer = await gateway.client.post(f"{PATH}s", content=b"name\n", headers=CSV)
    assert answer.status_code == 422


async def test_more_imports_than_a_process_can_serve_are_503(gateway: Gateway) -> None:
    release = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b'{"leadId": "a"}\n'
        await release.wait()

    async def send() -> httpx.Response:
        return await gateway.client.post(f"{PATH}s", content=slow(), headers=NDJSON)

    waiting = [asyncio.create_task(send()) for _ in range(MOST_IMPORTS)]
    await asyncio.sleep(0.2)
    refused = await gateway.client.post(f"{PATH}s", content=b'{"leadId": "b"}', headers=NDJSON)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    release.set()
    assert {each.status_code for each in await asyncio.gather(*waiting)} == {200}
    again = await gateway.client.post(f"{PATH}s", content=b'{"leadId": "b"}', headers=NDJSON)
    assert again.status_code == 200
