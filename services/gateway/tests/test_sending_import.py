"""Many addresses in one call: all of them, or none, and which could not be."""

import asyncio
from typing import Any, Final

import httpx
import pytest
from gateway.repeats import HEADER
from gateway.sending.schemas import MOST_AT_ONCE

from services.gateway.tests.conftest import Gateway
from services.gateway.tests.listed_addresses import API, list_address

PHONE: Final = "+966501234567"


def mail(address: str, kind: str = "deny") -> dict[str, Any]:
    """An e-mail address of an import."""
    return {"channel": "email", "address": address, "kind": kind}


async def send(gateway: Gateway, *items: dict[str, Any], key: str | None = None) -> httpx.Response:
    """The answer to an import."""
    headers = {HEADER: key} if key else {}
    path = f"{API}/suppressions/import"
    return await gateway.client.post(path, json={"items": items}, headers=headers)


async def listed(gateway: Gateway, **query: str) -> list[tuple[str, str]]:
    """What is listed: its masked text and its kind."""
    answer = await gateway.client.get(f"{API}/suppressions", params={"limit": "200", **query})
    return sorted((each["masked"], each["kind"]) for each in answer.json()["items"])


async def test_all_are_listed_as_single_calls_would(gateway: Gateway) -> None:
    await list_address(gateway, "a@example.com")
    chat = {"channel": "whatsapp", "address": PHONE, "kind": "allow"}
    answer = await send(gateway, mail("A@example.com"), mail("b@example.com", "allow"), chat)
    assert (answer.status_code, answer.json()) == (200, {"saved": 3})
    assert await listed(gateway) == [
        ("+966…67", "allow"),
        ("a…@example.com", "deny"),
        ("b…@example.com", "allow"),
    ]
    (entry,) = await gateway.sql.fetch(
        "SELECT after FROM gateway.audit_inbox WHERE workspace = $1 AND action = $2"
        " UNION ALL SELECT after FROM gateway.audit_log WHERE workspace = $1 AND action = $2",
        gateway.workspace,
        "suppressions.imported",
    )
    assert "example.com" not in str(entry)
    assert (await send(gateway, mail("b@example.com"))).json() == {"saved": 1}
    assert await listed(gateway, kind="allow") == [("+966…67", "allow")]


async def test_each_fault_is_named_and_nothing_is_listed(gateway: Gateway) -> None:
    good, bad = mail("good@example.com"), {"channel": "whatsapp", "address": "0501234567"}
    answer = await send(gateway, good, mail("nobody"), bad, mail("GOOD@example.com"))
    assert answer.status_code == 422
    places = [each["pointer"] for each in answer.json()["errors"]]
    assert places == ["/items/1/address", "/items/2/address", "/items/3/address"]
    assert await listed(gateway) == []


async def test_who_said_no_keeps_all_of_an_import_out(gateway: Gateway) -> None:
    await list_address(gateway, "no@example.com")
    items = [mail("yes@example.com", "allow"), mail("no@example.com", "allow")]
    refused = await send(gateway, *items, key="k")
    assert refused.status_code == 409
    assert [each["pointer"] for each in refused.json()["errors"]] == ["/items/1/kind"]
    assert await listed(gateway) == [("n…@example.com", "deny")]
    # The key of a call that made nothing is free.
    assert (await send(gateway, *items[:1], key="k")).status_code == 200


async def test_a_repeated_import_lists_nothing_anew(gateway: Gateway) -> None:
    first = await send(gateway, mail("a@example.com"), key="k")
    (entry,) = (await gateway.client.get(f"{API}/suppressions")).json()["items"]
    await gateway.client.delete(f"{API}/suppression/{entry['suppressionId']}")
    again = await send(gateway, mail("a@example.com"), key="k")
    assert (again.status_code, again.json()) == (200, first.json())
    assert await listed(gateway) == []
    assert (await send(gateway, mail("b@example.com"), key="k")).status_code == 422


async def test_imports_of_the_same_addresses_do_not_stop_each_other(gateway: Gateway) -> None:
    items = [mail(f"m{number}@example.com") for number in range(MOST_AT_ONCE)]
    answers = await asyncio.gather(*(send(gateway, *items[::step]) for step in (1, -1, 1, -1)))
    assert [answer.status_code for answer in answers] == [200] * 4
    count = "SELECT count(*) FROM gateway.suppressions WHERE workspace = $1"
    assert await gateway.sql.fetchval(count, gateway.workspace) == MOST_AT_ONCE


@pytest.mark.parametrize("count", [0, MOST_AT_ONCE + 1])
async def test_none_and_too_many_are_refused(gateway: Gateway, count: int) -> None:
    answer = await send(gateway, *(mail(f"m{number}@example.com") for number in range(count)))
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/items"]
