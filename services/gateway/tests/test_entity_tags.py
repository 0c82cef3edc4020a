"""`ETag`, `If-Match` and `If-None-Match`: nobody overwrites what he has not seen."""

import asyncio

import pytest
from gateway.workflows.entity_tags import expected_versions

from services.gateway.tests.conftest import WELCOME, Gateway

PATH = "/api/automation/workflow/welcome"


async def test_a_save_based_on_an_older_version_is_refused(gateway: Gateway) -> None:
    first = await gateway.client.put(PATH, json=WELCOME)
    assert first.headers["etag"] == '"1"'
    better = {**WELCOME, "description": "better"}
    second = await gateway.client.put(PATH, json=better, headers={"if-match": '"1"'})
    assert (second.status_code, second.headers["etag"]) == (200, '"2"')
    other = {**WELCOME, "description": "other"}
    late = await gateway.client.put(PATH, json=other, headers={"if-match": '"1"'})
    assert (late.status_code, late.headers["etag"]) == (412, '"2"')
    assert late.json()["detail"] == "The newest version is 2."
    read = await gateway.client.get(PATH)
    assert (read.headers["etag"], read.json()["description"]) == ('"2"', "better")
    same = await gateway.client.put(PATH, json=better, headers={"if-match": '"2"'})
    assert (same.status_code, same.headers["etag"]) == (200, '"2"')
    stale = await gateway.client.put(PATH, json=better, headers={"if-match": '"1"'})
    assert stale.status_code == 412
    versions = await gateway.client.get(f"{PATH}/versions")
    assert [each["version"] for each in versions.json()["items"]] == [1, 2]


async def test_what_is_not_there_matches_nothing(gateway: Gateway) -> None:
    for tag in ('"1"', '"0"', "nonsense", ""):
        answer = await gateway.client.put(PATH, json=WELCOME, headers={"if-match": tag})
        assert answer.status_code == 412, tag
    assert (await gateway.client.get(PATH)).status_code == 403


async def test_a_new_workflow_takes_nobodys_place(gateway: Gateway) -> None:
    headers = {"if-none-match": "*"}
    assert (await gateway.client.put(PATH, json=WELCOME, headers=headers)).status_code == 201
    again = await gateway.client.put(PATH, json=WELCOME, headers=headers)
    assert again.status_code == 412


async def test_of_saves_at_once_on_one_version_one_wins(gateway: Gateway) -> None:
    await gateway.client.put(PATH, json=WELCOME)
    answers = await asyncio.gather(
        *(
            gateway.client.put(
                PATH,
                json={**WELCOME, "description": str(number)},
                headers={"if-match": '"1"'},
            )
            for number in range(8)
        )
    )
    assert sorted(each.status_code for each in answers) == [200] + [412] * 7


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"if-match": '"3"'}, [3]),
        ({"if-match": ' "3" ,"4"'}, [3, 4]),
        ({"if-match": 'W/"3"'}, []),
        ({"if-match": '"99999999999"'}, []),
        ({"if-match": '"9999999999"'}, []),
        ({"if-none-match": "*"}, [0]),
        ({"if-none-match": '"3"'}, None),
    ],
)
def test_what_callers_expect(headers: dict[str, str], expected: list[int] | None) -> None:
    assert expected_versions(headers) == expected
