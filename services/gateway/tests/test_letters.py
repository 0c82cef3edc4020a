"""Dead letters over REST: found, read with what may be seen, and replayed once for each call."""

from base64 import b64encode
from datetime import timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from gateway.auth.access import Role
from gateway.letters.masking import MASK, show_headers, show_value
from mirsal_contracts.controls import ReplayLetter
from mirsal_contracts.topics import DEAD_LETTERS_EMAIL_V1, NODE_COMMANDS_EMAIL_V1

from services.gateway.tests.conftest import Gateway, open_gateway
from services.gateway.tests.test_reading import NOON

LETTERS = "/api/automation/dead-letters"
LETTER = "/api/automation/dead-letter/"
RUN_ID = "01936f2e-8a00-7c11-9d3b-5f0c2a417e90"
PERSONAL = "أحمد"
COMMAND: dict[str, Any] = {
    "runId": RUN_ID,
    "leadId": "ahmed",
    "attempt": 1,
    "config": {
        "to": "ahmed@example.com",
        "text": PERSONAL,
        "api_key": "canary-secret",
        "html": None,
    },
}


async def add_letter(gateway: Gateway, **changes: Any) -> str:
    """Write a letter as the orchestrator would; its id."""
    row = {
        "id": uuid4(),
        "workspace": gateway.workspace,
        "connector": "email",
        "topic": NODE_COMMANDS_EMAIL_V1.name,
        "partition": 3,
        "position": 17,
        "letter_topic": DEAD_LETTERS_EMAIL_V1.name,
        "letter_partition": 1,
        "letter_position": 2,
        "reason": "invalid",
        "text": "config: Field required",
        "died_at": NOON,
        "type": "mirsal.node.run.v1",
        "run_id": RUN_ID,
        "execution_id": str(uuid4()),
        "workflow_id": "welcome",
        "node_id": "mail",
        "lead_id": "ahmed",
        "attempt": 1,
        "key": RUN_ID.encode(),
        "value": orjson.dumps(COMMAND),
        "headers": [
            ["ce_type", b64encode(b"mirsal.node.run.v1").decode()],
            ["note", b64encode(PERSONAL.encode()).decode()],
            ["empty", None],
        ],
        "whole_bytes": 0,
        **changes,
    }
    names = ", ".join(row)
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    await gateway.sql.execute(
        f"INSERT INTO orchestrator.dead_letters ({names}) VALUES ({places})",  # noqa: S608 - the names above
        *row.values(),
    )
    return str(row["id"])


async def found(gateway: Gateway, query: str = "") -> list[str]:
    """The ids of the letters that a query finds, over all its pages."""
    ids: list[str] = []
    cursor = ""
    while True:
        answer = await gateway.client.get(f"{LETTERS}?limit=2&{query}{cursor}")
        assert answer.status_code == 200, answer.text
        page = answer.json()
        ids += [each["letterId"] for each in page["items"]]
        if page["nextCursor"] is None:
            return ids
        cursor = f"&cursor={page['nextCursor']}"


async def test_letters_are_found_page_by_page_and_by_what_is_known_of_them(
    gateway: Gateway,
) -> None:
    ids = [await add_letter(gateway, died_at=NOON + timedelta(minutes=n // 2)) for n in range(5)]
    other = await add_letter(
        gateway, connector="orchestrator", reason="unknown_run", workflow_id="other",
        run_id=None, lead_id="", topic="t", replayed_at=NOON, replayed_by="sara",
        outcome="unknown_run", died_at=NOON + timedelta(hours=1),
    )  # fmt: skip
    everything = await found(gateway)
    assert (set(everything), len(everything), everything[-1]) == ({*ids, other}, 6, other)
    for query in (
        "connectorType=orchestrator", "topic=t", "workflowId=other", "reason=unknown_run",
        "isReplayed=true", "createdAfter=2026-11-22T13:00:00Z",
    ):  # fmt: skip
        assert await found(gateway, query) == [other], query
    for query in (
        "connectorType=email", f"runId={RUN_ID}", "leadId=ahmed", "isReplayed=false",
        "createdBefore=2026-11-22T13:00:00Z", f"topic={NODE_COMMANDS_EMAIL_V1.name}",
    ):  # fmt: skip
        assert set(await found(gateway, query)) == set(ids), query
    for query in ("cursor=x", "limit=0", "runId=x", "createdAfter=x", "reason=A%20B"):
        assert (await gateway.client.get(f"{LETTERS}?{query}")).status_code == 422, query


async def test_a_letter_shows_where_it_was_and_nothing_personal(gateway: Gateway) -> None:
    letter_id = await add_letter(gateway)
    await gateway.sql.execute(
        "INSERT INTO orchestrator.dead_letter_replays "
        "VALUES ($1, $2, 'r', 'sara', $3, 'taken', $3)",
        letter_id, gateway.workspace, NOON,
    )  # fmt: skip
    viewer = {"x-api-key": await gateway.add_key(gateway.workspace, role=Role.VIEWER)}
    answer = await gateway.client.get(LETTER + letter_id, headers=viewer)
    assert answer.status_code == 200, answer.text
    letter = answer.json()
    assert letter["position"] == {
        "topic": NODE_COMMANDS_EMAIL_V1.name, "partition": 3, "offset": 17
    }  # fmt: skip
    assert letter["reason"] == "invalid"
    assert letter["headers"] == [
        {"name": "ce_type", "value": "mirsal.node.run.v1"},
        {"name": "note", "value": MASK},
        {"name": "empty", "value": None},
    ]
    assert letter["payload"] == {
        **COMMAND, "config": {"to": MASK, "text": MASK, "api_key": MASK, "html": None}
    }  # fmt: skip
    assert (letter["isMasked"], letter["key"]) == (True, RUN_ID)
    assert [each["outcome"] for each in letter["replays"]] == ["taken"]
    assert PERSONAL not in answer.text
    content = f"{LETTER}{letter_id}/content"
    assert (await gateway.client.get(content, headers=viewer)).status_code == 403
    editor = {"x-api-key": await gateway.add_key(gateway.workspace, role=Role.EDITOR)}
    shown = await gateway.client.get(content, headers=editor)
    assert shown.json()["payload"]["config"]["text"] == PERSONAL
    assert shown.json()["headers"][1]["value"] == PERSONAL
    assert "canary-secret" not in shown.text


@pytest.mark.parametrize("value", [b"{broken \x00 \xff", b"", None, b"[" * 900 + b"]" * 900, b"7"])
async def test_any_content_can_be_read(gateway: Gateway, value: bytes | None) -> None:
    letter_id = await add_letter(gateway, value=value, key=b"\xff\x00", whole_bytes=9)
    for path in (LETTER + letter_id, f"{LETTER}{letter_id}/content"):
        answer = await gateway.client.get(path)
        assert answer.status_code == 200, answer.text
        assert answer.json()["wholeBytes"] == 9


def test_what_is_masked_stays_hidden_at_any_depth() -> None:
    deep: Any = PERSONAL
    for _ in range(200):
        deep = [deep]
    for value in (deep, {"config": deep}, {"runId": {"name": PERSONAL}}, PERSONAL, {"x": 7.5}):
        shown = show_value(orjson.dumps(value), whole=False)
        assert PERSONAL not in str(shown.payload)
        assert "7.5" not in str(shown.payload)
        assert shown.is_masked
    assert show_value(PERSONAL.encode(), whole=False) == (None, None, True)
    assert show_headers([("Authorization", b"x")], whole=True) == [("Authorization", MASK)]


async def test_a_replay_is_asked_for_once_under_the_runs_key(gateway: Gateway) -> None:
    run_id = str(uuid4())
    letter_id = await add_letter(gateway, run_id=run_id)
    path, headers = f"{LETTER}{letter_id}/replay", {"idempotency-key": f"k-{run_id}"}
    first = await gateway.client.post(path, headers=headers)
    assert first.status_code == 202, first.text
    assert first.headers["location"] == LETTER + letter_id
    assert (await gateway.client.post(path, headers=headers)).json() == first.json()
    published = await gateway.find_controls(run_id, 2)
    assert {each["controlId"] for each in published} == {first.json()["replayId"]}
    message = ReplayLetter.model_validate(published[0])
    assert published[0]["type"] == ReplayLetter.TYPE
    assert (message.workspace, message.letter_id) == (gateway.workspace, letter_id)


async def test_what_names_no_run_or_is_not_the_callers_is_not_replayed(gateway: Gateway) -> None:
    homeless = await add_letter(gateway, run_id=None)
    answer = await gateway.client.post(f"{LETTER}{homeless}/replay")
    assert (answer.status_code, answer.json()["error"]) == (409, "Conflict")
    letter_id = await add_letter(gateway)
    stranger = {"x-api-key": await gateway.add_key("another")}
    granted = {"x-api-key": await gateway.add_key(gateway.workspace, workflow_ids=["other"])}
    for headers in (stranger, granted):
        assert (await gateway.client.get(LETTERS, headers=headers)).json()["items"] == []
        for path in (letter_id, f"{letter_id}/content"):
            assert (await gateway.client.get(LETTER + path, headers=headers)).status_code == 404
        told = await gateway.client.post(f"{LETTER}{letter_id}/replay", headers=headers)
        assert told.status_code == 404
    for unknown in (str(uuid4()), "no-uuid"):
        assert (await gateway.client.get(LETTER + unknown)).status_code == 404


async def test_their_number_is_in_the_queue_and_the_metrics(gateway: Gateway) -> None:
    before = (await gateway.client.get("/api/automation/queue/status")).json()
    connector = f"c{uuid4().hex}"
    await add_letter(gateway, connector=connector)
    await add_letter(gateway, connector=connector, replayed_at=NOON)
    async with open_gateway(gateway.settings) as other:
        after = (await other.client.get("/api/automation/queue/status")).json()
        text = (await other.client.get("/api/automation/metrics")).text
    assert after["deadLetters"] == before["deadLetters"] + 1
    assert after["deadLettersOf"][connector] == 1
    assert f'mirsal_dead_letters_waiting{{connector_type="{connector}"}} 1.0' in text
