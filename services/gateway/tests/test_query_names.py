"""No call passes over a query parameter: what it does not know it refuses, and says what it has."""

from typing import Any

import pytest
from gateway.application import build_app
from gateway.auth.access import GUARDED, OPEN, Role, Route
from gateway.openapi import describe

from services.gateway.tests.conftest import Gateway
from services.gateway.tests.one_of_each import make_one_of_each

Calls = dict[Route, frozenset[str]]


@pytest.fixture(scope="module")
def calls() -> Calls:
    """The query parameters of every guarded call, as the document has them."""
    paths: dict[str, dict[str, Any]] = describe(build_app())["paths"]
    return {
        (method.upper(), path): frozenset(
            each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"
        )
        for path, operations in paths.items()
        for method, operation in operations.items()
        if (method.upper(), path) not in OPEN
    }


async def become_owner(gateway: Gateway) -> dict[str, str]:
    """Something of everything, and a caller who may do all; the ids."""
    key = await gateway.add_key(gateway.workspace, role=Role.OWNER)
    gateway.client.headers["x-api-key"] = key
    return {**await make_one_of_each(gateway), "version": "1", "channel": "email"}


async def test_every_call_refuses_what_it_does_not_know(gateway: Gateway, calls: Calls) -> None:
    assert calls.keys() == GUARDED.keys()
    assert {"status", "limit", "cursor", "sort"} < calls["GET", "/api/automation/jobs"]
    ids = await become_owner(gateway)
    before = await gateway.count_requests()
    for (method, path), names in calls.items():
        case = f"{method} {path}"
        answer = await gateway.client.request(
            method, path.format(**ids), params={"nonsense": "1", "limits": ""}
        )
        assert answer.status_code == 422, f"{case}: {answer.text}"
        faults = {each["parameter"]: each["message"] for each in answer.json()["errors"]}
        assert faults.keys() == {"nonsense", "limits"}, case
        assert faults["nonsense"].endswith(f"it has: {', '.join(sorted(names)) or 'none'}"), case
    assert await gateway.count_requests() == before
    survivors = {"lead": "leadId", "key": "keyId", "webhook": "webhookId"}
    for noun, name in survivors.items():
        left = await gateway.client.get(f"/api/automation/{noun}/{ids[name]}")
        assert left.status_code == 200, "a refused DELETE deletes nothing"


async def test_every_call_takes_each_of_its_own_once(gateway: Gateway, calls: Calls) -> None:
    ids = await become_owner(gateway)
    given = {
        "sort": "-createdAt", "createdAfter": "2026-11-22T00:00:00Z", "limit": "5", "wait": "0s",
        "createdBefore": "2026-11-23T00:00:00Z", "leadId": "ahmed", "runId": ids["runId"],
    }  # fmt: skip
    tried = 0
    for (method, path), names in calls.items():
        line = {"sort": "line"} if "/job/" in path else {}
        known = {name: value for name, value in {**given, **line}.items() if name in names}
        if not known or method != "GET":
            continue
        case = f"{path}?{known}"
        answer = await gateway.client.get(path.format(**ids), params=known)
        assert answer.status_code == 200, f"{case}: {answer.text}"
        name, value = next(iter(known.items()))
        twice = await gateway.client.get(path.format(**ids), params=[(name, value)] * 2)
        assert twice.status_code == 422, case
        assert twice.json()["errors"] == [
            {"parameter": name, "message": "is given more than once"}
        ], case
        tried += 1
    assert tried > 12


async def test_what_probes_and_browsers_add_does_no_harm(gateway: Gateway) -> None:
    for method, path in sorted(OPEN):
        answer = await gateway.client.request(method, path, params={"utm_source": "x", "t": "1"})
        assert answer.status_code in {200, 503}, f"{path}: {answer.text[:200]}"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/workflow/none", 403),
        ("GET", "/workflow/none/logs", 403),
        ("POST", "/workflow/none/run", 403),
        ("POST", "/workflow/none/runs", 403),
        ("PUT", "/workflow/none", 422),
        ("GET", "/run/none", 422),
    ],
)
async def test_it_is_refused_after_access_and_before_anything_else(
    gateway: Gateway, method: str, path: str, status: int
) -> None:
    path = f"/api/automation{path}?nonsense=1"
    assert (await gateway.client.request(method, path)).status_code == status
    del gateway.client.headers["x-api-key"]
    assert (await gateway.client.request(method, path)).status_code == 401


async def test_a_long_list_of_names_is_told_in_part(gateway: Gateway) -> None:
    query = "&".join(f"x{number}{'y' * 200}=1" for number in range(40))
    answer = await gateway.client.get(f"/api/automation/leads?{query}")
    assert answer.status_code == 422
    errors = answer.json()["errors"]
    assert len(errors) == 20
    assert {len(each["parameter"]) for each in errors} == {64}
