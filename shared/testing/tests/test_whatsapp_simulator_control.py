"""The control API of the WhatsApp simulator, by its own client and by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio
from mirsal_testing.simulators.whatsapp import WhatsAppSimulator, WhatsAppSimulatorClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATH = "/v23.0/123456789012345/messages"


@pytest_asyncio.fixture
async def client(whatsapp_simulator: WhatsAppSimulator) -> AsyncIterator[WhatsAppSimulatorClient]:
    async with WhatsAppSimulatorClient(whatsapp_simulator.url) as client:
        yield client


async def send(url: str, *callbacks: str | None, to: str = "966501234567") -> None:
    async with httpx.AsyncClient(base_url=url, timeout=5, trust_env=False) as sender:
        for callback in callbacks:
            payload: dict[str, Any] = {
                "messaging_product": "whatsapp",
                "to": to,
                "text": {"body": f"مرحباً {callback}"},
            }
            if callback is not None:
                payload["biz_opaque_callback_data"] = callback
            await sender.post(PATH, json=payload, headers={"Authorization": "Bearer T"})


async def test_messages_come_as_they_were_sent(client: WhatsAppSimulatorClient) -> None:
    begun = datetime.now(UTC)
    await send(client.url, "c1", None)
    first, second = await client.messages()
    assert (first.sequence, second.sequence) == (1, 2)
    assert (first.text, first.to, first.type) == ("مرحباً c1", "966501234567", "text")
    assert (first.callback_data, second.callback_data) == ("c1", None)
    assert first.phone_number_id == "123456789012345"
    assert first.payload["text"] == {"body": "مرحباً c1"}
    assert "مرحباً".encode() in first.body
    assert begun <= first.arrived_at <= second.arrived_at <= datetime.now(UTC)
    assert first.headers["authorization"] == "***"


async def test_messages_are_found_by_number_recipient_and_callback_data(
    client: WhatsAppSimulatorClient,
) -> None:
    await send(client.url, "c1", "c2")
    await send(client.url, "c3", to="905321234567")
    assert [m.callback_data for m in await client.messages(since=1)] == ["c2", "c3"]
    assert [m.callback_data for m in await client.messages(to="905321234567")] == ["c3"]
    assert [m.sequence for m in await client.messages(callback_data="c2")] == [2]


async def test_pages_and_chosen_fields(client: WhatsAppSimulatorClient) -> None:
    await send(client.url, *(f"c{number}" for number in range(5)))
    async with httpx.AsyncClient(base_url=client.url, trust_env=False) as plain:
        page = await plain.get("/simulator/messages?since=1&limit=2&fields=sequence,callbackData")
    assert page.json() == {
        "items": [{"sequence": 2, "callbackData": "c1"}, {"sequence": 3, "callbackData": "c2"}],
        "next": 3,
        "total": 5,
    }
    arrivals = await client.arrivals(since=3)
    assert [(each.sequence, each.callback_data) for each in arrivals] == [(4, "c3"), (5, "c4")]


async def test_summary_and_counts_show_duplicates(client: WhatsAppSimulatorClient) -> None:
    await send(client.url, "c1", "c2", "c1", None)
    await client.fail_next(131000)
    await send(client.url, "c9")
    summary = await client.summary()
    assert summary["messages"] == 4
    assert summary["calls"] == 5
    assert summary["outcomes"] == {"accepted": 4, "error": 1}
    assert summary["errors"] == {"131000": 1}
    assert summary["duplicates"] == {"c1": 2}
    assert summary["callbackData"] == 2
    assert summary["cpuSeconds"] > 0
    assert await client.counts() == {"c1": 2, "c2": 1}
    assert await client.counts(by="to") == {"966501234567": 4}


async def test_calls_tell_every_outcome(
    client: WhatsAppSimulatorClient, whatsapp_simulator: WhatsAppSimulator
) -> None:
    await send(client.url, "c1")
    await send(client.url, "c2", to="nobody")
    rule_id = await client.fail_next(131026)
    await send(client.url, "c3")
    calls = await client.calls()
    assert [(call["outcome"], call["status"], call["code"]) for call in calls] == [
        ("accepted", 200, None),
        ("refused", 400, 131009),
        ("error", 400, 131026),
    ]
    assert calls[2]["rule"] == rule_id
    assert [call["callbackData"] for call in await client.calls(outcome="error")] == ["c3"]


async def test_reset_forgets_everything(client: WhatsAppSimulatorClient) -> None:
    await client.add_rules({"action": {"delayMs": 1}})
    await send(client.url, "c1")
    await client.reset()
    summary = await client.summary()
    assert (summary["messages"], summary["calls"], summary["outcomes"]) == (0, 0, {})
    assert (await client.counts(), await client.rules(), await client.messages()) == ({}, [], [])


async def test_rules_over_http(client: WhatsAppSimulatorClient) -> None:
    first, second = await client.add_rules(
        {"match": {"to": "+905321234567"}, "times": 1, "action": {"error": {"code": 2}}},
        {"action": {"delayMs": 1}},
    )
    await send(client.url, "c1", to="905321234567")
    shown = {rule["id"]: rule for rule in await client.rules()}
    assert shown[first["id"]]["applied"] == 1
    assert shown[first["id"]]["match"] == {"to": "905321234567"}
    assert shown[second["id"]]["action"]["delayMs"] == 1
    await client.remove_rule(second["id"])
    assert [rule["id"] for rule in await client.rules()] == [first["id"]]
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        await client.remove_rule("nothing")


async def test_a_wrong_rule_is_refused_with_its_place_and_none_is_added(
    client: WhatsAppSimulatorClient,
) -> None:
    with pytest.raises(httpx.HTTPStatusError, match=r"422.*extra_forbidden"):
        await client.add_rules({"action": {"delayMs": 1}}, {"action": {"delayMs": 1, "dropp": 1}})
    assert await client.rules() == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/nothing", 404),
        ("GET", "/simulator/rules/1", 404),
        ("GET", "/simulator/messages?since=x", 422),
        ("GET", "/simulator/messages?limit=-1", 422),
        ("GET", "/simulator/messages?fields=nothing", 422),
        ("GET", "/simulator/counts?by=nothing", 422),
        ("POST", "/simulator/rules", 400),
        ("POST", "/simulator/templates", 422),
    ],
)
async def test_wrong_calls_say_what_is_wrong(
    whatsapp_simulator: WhatsAppSimulator, method: str, path: str, status: int
) -> None:
    async with httpx.AsyncClient(base_url=whatsapp_simulator.url, trust_env=False) as plain:
        answer = await plain.request(method, path)
    assert answer.status_code == status
    assert status == 200 or answer.json()["title"]


async def test_a_page_of_another_site_changes_nothing(
    whatsapp_simulator: WhatsAppSimulator,
) -> None:
    async with httpx.AsyncClient(base_url=whatsapp_simulator.url, trust_env=False) as plain:
        answer = await plain.delete("/simulator/messages", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


async def test_templates_over_http(client: WhatsAppSimulatorClient) -> None:
    await client.register_templates({"name": "welcome", "language": "ar", "body": 1})
    async with httpx.AsyncClient(base_url=client.url, trust_env=False) as plain:
        shown = (await plain.get("/simulator/templates")).json()["items"]
        await plain.delete("/simulator/templates")
        left = (await plain.get("/simulator/templates")).json()["items"]
    assert [(each["name"], each["body"]) for each in shown] == [("welcome", 1)]
    assert left == []


async def test_waiting_says_how_many_came(client: WhatsAppSimulatorClient) -> None:
    await send(client.url, "c1")
    assert (await client.wait_for_messages(1))["messages"] == 1
    with pytest.raises(TimeoutError, match="1 of 2"):
        await client.wait_for_messages(2, seconds=0.1)


async def test_waiting_in_the_same_process(whatsapp_simulator: WhatsAppSimulator) -> None:
    await send(whatsapp_simulator.url, "c1")
    await whatsapp_simulator.wait_for_messages(1)
    with pytest.raises(TimeoutError, match="1 of 2"):
        await whatsapp_simulator.wait_for_messages(2, seconds=0.05)


async def test_health_of_nothing() -> None:
    async with WhatsAppSimulator() as simulator:
        url = simulator.url
        async with WhatsAppSimulatorClient(url) as client:
            assert await client.is_healthy()
    async with WhatsAppSimulatorClient(url) as client:
        assert not await client.is_healthy()
