"""How the WhatsApp simulator misbehaves: what the caller sees, and what counts as delivered."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest
from mirsal_testing.simulators.rulebook import RuleBook
from mirsal_testing.simulators.whatsapp import WhatsAppRule, WhatsAppSimulator
from mirsal_testing.simulators.whatsapp.checks import CheckedMessage
from mirsal_testing.simulators.whatsapp.rules import choose
from pydantic import ValidationError

PATH = "/v23.0/123456789012345/messages"
DEADLINE = aiohttp.ClientTimeout(total=5)


async def send(
    simulator: WhatsAppSimulator,
    to: str = "966501234567",
    body: str = "مرحباً",
    deadline: aiohttp.ClientTimeout = DEADLINE,
) -> tuple[int, Any, Any]:
    """Status, JSON (or text) and headers of one call over a connection of its own."""
    payload = {
        "messaging_product": "whatsapp",
        "to": to,
        "type": "text",
        "text": {"body": body},
        "biz_opaque_callback_data": f"to-{to}",
    }
    async with (
        aiohttp.ClientSession(headers={"Authorization": "Bearer T"}) as session,
        session.post(simulator.url + PATH, json=payload, timeout=deadline) as answer,
    ):
        if answer.content_type == "application/json":
            return answer.status, await answer.json(), answer.headers
        return answer.status, await answer.text(), answer.headers


async def test_fail_next_fails_so_often_and_no_more(whatsapp_simulator: WhatsAppSimulator) -> None:
    rule = whatsapp_simulator.fail_next(131000, times=2)
    statuses = [(await send(whatsapp_simulator))[0] for _ in range(4)]
    assert statuses == [500, 500, 200, 200]
    assert len(whatsapp_simulator.messages) == 2
    assert (rule.applied, rule.spent) == (2, True)


async def test_error_is_metas_with_what_the_rule_changes(
    whatsapp_simulator: WhatsAppSimulator,
) -> None:
    whatsapp_simulator.rules.add(
        {"action": {"error": {"code": 130429, "status": 429, "details": "مهلا", "retryAfter": 7}}}
    )
    status, body, headers = await send(whatsapp_simulator)
    assert (status, headers["Retry-After"]) == (429, "7")
    assert body["error"]["code"] == 130429
    assert body["error"]["message"] == "(#130429) Rate limit hit"
    assert body["error"]["error_data"]["details"] == "مهلا"
    (call,) = whatsapp_simulator.calls
    assert (call.outcome, call.status, call.code, call.accepted) == ("error", 429, 130429, False)


async def test_match_by_recipient_text_and_callback_data(
    whatsapp_simulator: WhatsAppSimulator,
) -> None:
    error = {"error": {"code": 131026}}
    for match in (
        {"to": "+966 50 000 0001"},
        {"textContains": "عرض"},
        {"callbackData": "to-966500000002"},
        {"to": "966500000003", "textContains": "سر"},
    ):
        whatsapp_simulator.rules.add({"match": match, "action": error})
    sent = [
        ("966500000001", "مرحباً", 400),
        ("966500000009", "لدينا عرض جديد", 400),
        ("966500000002", "مرحباً", 400),
        ("966500000003", "مرحباً", 200),
        ("966500000003", "سر", 400),
        ("966500000009", "مرحباً", 200),
    ]
    for to, body, expected in sent:
        assert (await send(whatsapp_simulator, to, body))[0] == expected, (to, body)


@pytest.mark.parametrize("reset", [False, True])
async def test_drop_before_records_no_message(
    whatsapp_simulator: WhatsAppSimulator, reset: bool
) -> None:
    whatsapp_simulator.drop_next("before", reset=reset)
    with pytest.raises(aiohttp.ClientConnectionError):
        await send(whatsapp_simulator)
    assert whatsapp_simulator.messages == []
    (call,) = whatsapp_simulator.calls
    assert (call.outcome, call.accepted) == ("dropped", False)


@pytest.mark.parametrize(
    ("reset", "error"), [(False, aiohttp.ServerDisconnectedError), (True, aiohttp.ClientOSError)]
)
async def test_drop_after_records_and_the_caller_sees_a_connection_error(
    whatsapp_simulator: WhatsAppSimulator, reset: bool, error: type[Exception]
) -> None:
    whatsapp_simulator.drop_next("after", reset=reset)
    with pytest.raises(error):
        await send(whatsapp_simulator)
    (message,) = whatsapp_simulator.messages
    assert (message.text, message.outcome, message.accepted) == ("مرحباً", "dropped", True)
    assert (await send(whatsapp_simulator))[0] == 200


async def test_drop_midway_breaks_the_answer(whatsapp_simulator: WhatsAppSimulator) -> None:
    whatsapp_simulator.drop_next("midway")
    with pytest.raises(aiohttp.ClientPayloadError):
        await send(whatsapp_simulator)
    assert len(whatsapp_simulator.messages) == 1


@pytest.mark.parametrize("accept", [False, True])
async def test_bare_status_has_no_meta_body(
    whatsapp_simulator: WhatsAppSimulator, accept: bool
) -> None:
    action = {"status": 502, "body": "bad gateway", "accept": accept}
    whatsapp_simulator.rules.add({"action": action})
    status, body, _ = await send(whatsapp_simulator)
    assert (status, body) == (502, "bad gateway")
    assert len(whatsapp_simulator.messages) == accept


@pytest.mark.parametrize("accept", [False, True])
async def test_hang_never_answers(whatsapp_simulator: WhatsAppSimulator, accept: bool) -> None:
    whatsapp_simulator.rules.add({"action": {"hang": True, "accept": accept}})
    with pytest.raises(TimeoutError):
        await send(whatsapp_simulator, deadline=aiohttp.ClientTimeout(total=0.3))
    assert len(whatsapp_simulator.messages) == accept
    assert whatsapp_simulator.calls[0].outcome == "hung"


async def test_who_hangs_up_leaves_nothing_behind(whatsapp_simulator: WhatsAppSimulator) -> None:
    whatsapp_simulator.rules.add({"action": {"hang": True}})
    before = len(asyncio.all_tasks())
    with pytest.raises(TimeoutError):
        await send(whatsapp_simulator, deadline=aiohttp.ClientTimeout(total=0.1))
    for _ in range(100):
        if len(asyncio.all_tasks()) == before:
            break
        await asyncio.sleep(0.01)
    assert len(asyncio.all_tasks()) == before


async def test_delay_records_at_once_and_answers_late(
    whatsapp_simulator: WhatsAppSimulator,
) -> None:
    whatsapp_simulator.rules.add({"action": {"delayMs": 200}})
    begun = time.monotonic()
    pending = asyncio.create_task(send(whatsapp_simulator))
    await whatsapp_simulator.wait_for_messages(1)
    assert not pending.done()
    assert (await pending)[0] == 200
    assert time.monotonic() - begun >= 0.2


async def test_a_caller_that_gives_up_has_sent_all_the_same(
    whatsapp_simulator: WhatsAppSimulator,
) -> None:
    whatsapp_simulator.rules.add({"action": {"delayMs": 10_000}})
    with pytest.raises(TimeoutError):
        await send(whatsapp_simulator, deadline=aiohttp.ClientTimeout(total=0.2))
    assert len(whatsapp_simulator.messages) == 1


async def test_delay_and_error_combine_across_rules(
    whatsapp_simulator: WhatsAppSimulator,
) -> None:
    slow = whatsapp_simulator.rules.add({"action": {"delayMs": 60}})
    whatsapp_simulator.rules.add({"times": 1, "action": {"delayMs": 60, "error": {"code": 2}}})
    begun = time.monotonic()
    assert (await send(whatsapp_simulator))[0] == 503
    assert time.monotonic() - begun >= 0.12
    assert (await send(whatsapp_simulator))[0] == 200
    assert slow.applied == 2


async def test_rate_limit_of_the_number_over_http(whatsapp_simulator: WhatsAppSimulator) -> None:
    limit = {"perSecond": 0.001, "burst": 2}
    rule = whatsapp_simulator.rules.add({"action": {"rateLimit": limit}})
    answers = [await send(whatsapp_simulator, f"96650000000{n}") for n in range(4)]
    assert [status for status, _, _ in answers] == [200, 200, 400, 400]
    assert answers[2][1]["error"]["code"] == 130429
    assert rule.applied == 2


async def test_pair_rate_limit_lets_other_pairs_flow(
    whatsapp_simulator: WhatsAppSimulator,
) -> None:
    limit = {"perSecond": 0.001, "per": "pair"}
    whatsapp_simulator.rules.add({"action": {"rateLimit": limit}})
    pairs = ["966500000001", "966500000001", "966500000002"]
    answers = [await send(whatsapp_simulator, to) for to in pairs]
    assert [status for status, _, _ in answers] == [200, 400, 200]
    assert answers[1][1]["error"]["code"] == 131056


def message(to: str = "966501234567") -> CheckedMessage:
    return CheckedMessage(to, to, "text", None, {"type": "text", "text": {"body": "x"}})


def test_rate_limit_refills_with_time_and_never_over_its_burst() -> None:
    book = RuleBook(WhatsAppRule)
    book.add({"action": {"rateLimit": {"perSecond": 2, "burst": 2}}})

    def refused(now: float) -> bool:
        return choose(book, message(), now)[1] is not None

    assert [refused(now) for now in (0, 0, 0, 0.4, 0.5, 0.6)] == [
        False,
        False,
        True,
        True,
        False,
        True,
    ]
    assert [refused(1000) for _ in range(3)] == [False, False, True]


def test_probability_repeats_with_its_seed() -> None:
    def run(seed: int) -> list[bool]:
        book = RuleBook(WhatsAppRule, seed)
        book.add({"match": {"probability": 0.3}, "action": {"hang": True}})
        return [choose(book, message(), 0)[1] is not None for _ in range(1000)]

    assert run(7) == run(7)
    assert run(7) != run(8)
    assert 200 < sum(run(7)) < 400


@pytest.mark.parametrize(
    "action",
    [
        {},
        {"error": {"code": 1}, "drop": "after"},
        {"drop": "later"},
        {"accept": True},
        {"accept": True, "drop": "before"},
        {"body": "x", "hang": True},
        {"reset": True, "hang": True},
        {"delay": 5},
        {"rateLimit": {"perSecond": 0}},
        {"error": {"code": 1, "status": 200}},
    ],
)
def test_rules_that_make_no_sense_are_refused(action: dict[str, object]) -> None:
    book = RuleBook(WhatsAppRule)
    with pytest.raises(ValidationError):
        book.add({"action": action})
    assert len(book) == 0


def test_match_to_must_be_a_number() -> None:
    with pytest.raises(ValidationError, match="malformed"):
        RuleBook(WhatsAppRule).add({"match": {"to": "أحمد"}, "action": {"hang": True}})
