"""Every list of the OpenAPI document: pages, orders and times are one and the same way for all."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import pytest
from gateway.application import build_app
from gateway.auth.access import Role
from gateway.openapi import describe
from gateway.paging import BothWays, Cursor

from services.gateway.tests.conftest import AHMED, WELCOME, Gateway
from services.gateway.tests.listed_addresses import list_address
from services.gateway.tests.one_of_each import API, make_one_of_each
from services.gateway.tests.test_letters import add_letter
from services.gateway.tests.test_reading import NOON, add_execution
from services.gateway.tests.test_webhooks import add_delivery

DOCUMENT: Final[Any] = describe(build_app())
SCHEMAS: Final = DOCUMENT["components"]["schemas"]
OF_LINES: Final = {f"{API}/job/{{jobId}}/faults", f"{API}/job/{{jobId}}/runs"}
AUDITED: Final = "?action=credential.saved"
"""Reading makes the log longer."""


def _is_list(operation: Any) -> bool:
    content = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    return "nextCursor" in SCHEMAS.get(name, {}).get("properties", {})


LISTS: Final = [
    path
    for path, operations in DOCUMENT["paths"].items()
    if "get" in operations and _is_list(operations["get"])
]
OF_TIMES: Final = [path for path in LISTS if path not in OF_LINES]


def parameters_of(path: str) -> dict[str, Any]:
    """A list's parameters, by name."""
    return {each["name"]: each for each in DOCUMENT["paths"][path]["get"]["parameters"]}


def test_all_lists_take_the_same_parameters() -> None:
    assert len(LISTS) >= 12
    first = parameters_of(f"{API}/workflows")
    for path in LISTS:
        names = {"limit", "cursor"}
        if path not in OF_LINES:
            names |= {"sort", "createdAfter", "createdBefore"}
        found = parameters_of(path)
        assert "sort" in found, path
        assert {name: found.get(name) for name in names} == {name: first[name] for name in names}


async def fill(gateway: Gateway) -> dict[str, str]:
    """A workspace with three of everything at least, at times of their own; the ids."""
    gateway.client.headers["x-api-key"] = await gateway.add_key(gateway.workspace, role=Role.OWNER)
    ids = await make_one_of_each(gateway)
    client = gateway.client
    for number in range(3):
        await client.put(f"{API}/lead/l{number}", json=AHMED)
        await client.put(f"{API}/workflow/w{number}", json=WELCOME)
        await client.put(f"{API}/workflow/welcome", json={**WELCOME, "name": f"{number}"})
        await client.post(f"{API}/dead-letters/replay", json={"reason": "none"})
        await client.post(f"{API}/keys", json={"name": f"k{number}", "role": "viewer"})
        hook = {"url": "https://hooks.example.com/x", "eventTypes": ["run.failed"]}
        await client.post(f"{API}/webhooks", json=hook)
        account = {"type": "smtp", "host": "mail.example"}
        await list_address(gateway, f"l{number}@example.com")
        await client.put(f"{API}/credential/c{number}", json={"account": account})
        later = NOON + timedelta(seconds=number)
        await add_letter(gateway, died_at=later, letter_position=100 + number, topic=f"t{number}")
        await add_execution(gateway, created_at=later, run_id=uuid4())
        await add_delivery(gateway, ids["webhookId"], "dead", number)
        await gateway.sql.execute(
            "INSERT INTO gateway.job_faults VALUES ($1, $2, $3, 0, '', 'wrong')",
            ids["jobId"], gateway.workspace, number + 1,
        )  # fmt: skip
    return ids


async def read(gateway: Gateway, path: str, **query: Any) -> dict[str, Any]:
    """One page."""
    separator = "&" if "?" in path else "?"
    text = "&".join(f"{name}={value}" for name, value in query.items())
    answer = await gateway.client.get(f"{path}{separator}{text}".replace("+", "%2B"))
    assert answer.status_code == 200, (path, query, answer.text)
    page: dict[str, Any] = answer.json()
    return page


async def read_all(gateway: Gateway, path: str, **query: Any) -> list[Any]:
    """All items, two a page."""
    page = await read(gateway, path, limit=2, **query)
    items: list[Any] = page["items"]
    while page["nextCursor"] is not None:
        assert len(page["items"]) == 2
        page = await read(gateway, path, limit=2, cursor=page["nextCursor"], **query)
        items += page["items"]
    return items


@pytest.fixture
async def filled(gateway: Gateway) -> tuple[Gateway, dict[str, str]]:
    """A gateway, and the ids of a workspace that has everything."""
    return gateway, await fill(gateway)


async def test_pages_orders_and_times(filled: tuple[Gateway, dict[str, str]]) -> None:
    gateway, ids = filled
    for template in LISTS:
        if template.endswith("/runs"):
            continue  # `test_jobs` has a job with runs.
        path = template.format(**ids)
        path += AUDITED if template.endswith("/audit") else ""
        sort = "line" if template in OF_LINES else "createdAt"
        whole = (await read(gateway, path))["items"]
        assert len(whole) >= 3, template
        assert await read_all(gateway, path) == whole, template
        assert await read_all(gateway, path, sort=sort) == whole, template
        assert await read_all(gateway, path, sort=f"-{sort}") == whole[::-1], template
        if template in OF_TIMES:
            await check_times(gateway, path, whole)
        for wrong in ("createdat", "name", "", "-"):
            answer = await gateway.client.get(f"{path.partition('?')[0]}?sort={wrong}")
            assert answer.status_code == 422, template


async def check_times(gateway: Gateway, path: str, whole: list[Any]) -> None:
    """What is created at a moment is after it, and not before it."""
    times = [datetime.fromisoformat(each.get("createdAt") or each["at"]) for each in whole]
    middle = times[1]
    assert times == sorted(times)
    after = await read_all(gateway, path, createdAfter=middle.isoformat(), sort="-createdAt")
    kept = [item for item, at in zip(whole, times, strict=True) if at >= middle]
    assert after == kept[::-1], path
    before = await read_all(gateway, path, createdBefore=middle.isoformat())
    assert before == [item for item, at in zip(whole, times, strict=True) if at < middle], path


async def test_a_cursor_of_another_list_is_refused_or_harmless(
    filled: tuple[Gateway, dict[str, str]],
) -> None:
    gateway, ids = filled
    cursors = [Cursor(NOON, each).to_text() for each in ("x", str(uuid4()), "9" * 30, "-1")]
    for template in LISTS:
        for cursor in [*cursors, "Lw", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5L2E"]:
            for sort in parameters_of(template)["sort"]["schema"].get("enum", ["createdAt"]):
                path = f"{template.format(**ids)}?cursor={cursor}&sort={sort}"
                answer = await gateway.client.get(path)
                assert answer.status_code in {200, 422}, (path, answer.text)


def test_only_a_statement_that_can_be_is_turned_round() -> None:
    both = BothWays.of("SELECT x WHERE (a, b) > ($1, $2) ORDER BY a ASC, b ASC")
    assert both.backwards == "SELECT x WHERE (a, b) < ($1, $2) ORDER BY a DESC, b DESC"
    for wrong in ("SELECT 1", "WHERE (a) > ($1)", "WHERE a > $1 ORDER BY a ASC"):
        with pytest.raises(ValueError, match="turned round"):
            BothWays.of(wrong)
