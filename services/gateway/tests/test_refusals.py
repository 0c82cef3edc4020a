"""What is refused: with which status, in which order, exactly how; and nothing reaches Kafka."""

from copy import deepcopy
from typing import Any

import httpx
import pytest
from gateway.application import build_app
from gateway.auth.keys import generate_key
from gateway.bodies import BODY_BYTES
from gateway.runs.schemas import INPUT_BYTES, MOST_LEADS

from services.gateway.tests.conftest import WELCOME, Gateway, MakeSettings, open_gateway

WORKFLOW = "/api/automation/workflow/welcome"
RUN = f"{WORKFLOW}/run"
MAIL = "/api/automation/email/send"
SEND: dict[str, Any] = {
    "leadId": "ahmed",
    "config": {"subject": "s", "body": "b"},
    "workflowId": "welcome",
    "nodeId": "n",
}


def broken(**node: Any) -> dict[str, Any]:
    """The workflow with something wrong in its first node."""
    workflow = deepcopy(WELCOME)
    workflow["nodes"][0].update(node)
    return workflow


def cyclic() -> dict[str, Any]:
    """The workflow with its nodes in a circle."""
    arrows = [{"from": "mail", "to": "chat"}, {"from": "chat", "to": "mail"}]
    return {**WELCOME, "connections": arrows}


def send(**changes: Any) -> dict[str, Any]:
    """A direct call with something changed."""
    return {**SEND, **changes}


# Method, path, body, status, pointer.
BAD: list[tuple[str, str, Any, int, str | None]] = [
    ("POST", RUN, b"{", 422, ""),
    ("POST", RUN, b"", 422, ""),
    ("POST", RUN, b"\xff\xfe", 422, ""),
    ("POST", RUN, b'{"leadId": "ahmed",}', 422, ""),
    ("POST", RUN, [], 422, ""),
    ("POST", RUN, {}, 422, ""),
    ("POST", RUN, {"leadId": ""}, 422, "/leadId"),
    ("POST", RUN, {"leadId": None}, 422, ""),
    ("POST", RUN, {"leadId": "a\0"}, 422, "/leadId"),
    ("POST", RUN, {"leadIds": []}, 422, "/leadIds"),
    ("POST", RUN, {"leadIds": ["ahmed", "ahmed"]}, 422, "/leadIds/1"),
    ("POST", RUN, {"leadIds": [f"l{n}" for n in range(MOST_LEADS + 1)]}, 422, "/leadIds"),
    ("POST", RUN, {"leadId": "ahmed", "input": 5}, 422, "/input"),
    ("POST", RUN, {"leadId": "ahmed", "input": {"x": "\0"}}, 422, "/input/x"),
    ("POST", RUN, {"leadId": "ahmed", "lead": {}}, 422, "/lead"),
    ("POST", RUN, b'{"leadId":"ahmed","input":' + b'{"a":' * 70 + b"1" + b"}" * 71, 422, ""),
    ("POST", RUN, {"leadId": "nobody"}, 404, "/leadId"),
    ("POST", RUN, {"leadIds": ["ahmed", "nobody"]}, 404, "/leadIds/1"),
    ("POST", "/api/automation/workflow/none/run", {"leadId": "ahmed"}, 403, None),
    ("POST", RUN, {"leadId": "ahmed", "input": {"x": "y" * INPUT_BYTES}}, 413, None),
    ("POST", RUN, b'"' + b"x" * 2 * BODY_BYTES + b'"', 413, None),
    ("PUT", WORKFLOW, b"{", 422, ""),
    ("PUT", WORKFLOW, broken(type="fax"), 422, "/nodes/0/type"),
    ("PUT", WORKFLOW, broken(id="chat"), 422, "/nodes/1/id"),
    (
        "PUT",
        WORKFLOW,
        broken(config={"subject": "{{ x", "body": "b"}),
        422,
        "/nodes/0/config/subject",
    ),
    ("PUT", WORKFLOW, broken(config={"subject": "s"}), 422, "/nodes/0/config/body"),
    ("PUT", WORKFLOW, broken(config={"subject": "s", "body": "a\0"}), 422, "/nodes/0/config/body"),
    ("PUT", WORKFLOW, cyclic(), 422, "/connections/1"),
    ("PUT", WORKFLOW, {**WELCOME, "name": ""}, 422, "/name"),
    ("PUT", WORKFLOW, {**WELCOME, "nodes": []}, 422, "/nodes"),
    ("PUT", WORKFLOW, {**WELCOME, "description": "x" * 2 * BODY_BYTES}, 413, None),
    ("PUT", "/api/automation/lead/ahmed", {"email": "x"}, 422, "/email"),
    ("POST", MAIL, b"nonsense", 422, ""),
    ("POST", MAIL, send(workflowId="none"), 403, None),
    ("POST", MAIL, send(leadId="nobody"), 404, "/leadId"),
    ("POST", MAIL, send(nodeId="a b"), 422, "/nodeId"),
    ("POST", MAIL, send(config={"text": "x"}), 422, "/config/subject"),
    (
        "POST",
        MAIL,
        send(config={"subject": "{% for x in y %}", "body": "b"}),
        422,
        "/config/subject",
    ),
    (
        "POST",
        MAIL,
        send(config={"subject": "{{nodes.n.output.x}}", "body": "b"}),
        422,
        "/config/subject",
    ),
    ("POST", MAIL, send(config=None), 422, "/config"),
    ("POST", "/api/automation/whatsapp/send", send(config={}), 422, "/config"),
    ("POST", "/api/automation/whatsapp/send", send(), 422, "/config/subject"),
    ("POST", "/api/automation/nothing", {}, 404, None),
    ("DELETE", RUN, None, 405, None),
]


async def test_bad_input_is_refused_with_its_place_and_nothing_reaches_kafka(
    gateway: Gateway,
) -> None:
    await gateway.put_welcome()
    before = await gateway.count_requests()
    for method, path, body, status, pointer in BAD:
        given: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
        answer = await gateway.client.request(method, path, **given)
        case = f"{method} {path} {str(body)[:80]}: {answer.text}"
        assert answer.status_code == status, case
        assert answer.headers["content-type"] == "application/problem+json", case
        problem = answer.json()
        assert problem["status"] == status, case
        assert {"error", "type", "title", "detail"} <= problem.keys(), case
        if pointer is not None:
            assert pointer in [each["pointer"] for each in problem["errors"]], case
    assert await gateway.count_requests() == before
    good = await gateway.client.post(RUN, json={"leadId": "ahmed"})
    assert good.status_code == 202
    assert await gateway.count_requests() == before + 1


@pytest.mark.parametrize(
    "key",
    [None, "", "x", "mk_" + "a" * 49, generate_key(), "Bearer x", "ключ"],
    ids=["none", "empty", "a letter", "no checksum", "not known", "two words", "Cyrillic"],
)
async def test_a_wrong_key_is_401_whatever_it_is(gateway: Gateway, key: str | None) -> None:
    headers = [] if key is None else [(b"x-api-key", key.encode())]
    del gateway.client.headers["x-api-key"]
    for method, path in (
        ("GET", "/api/automation/leads"),
        ("POST", RUN),
        ("GET", "/api/automation/x"),
    ):
        answer = await gateway.client.request(method, path, headers=headers)
        assert answer.status_code == 401
        problem = answer.json()
        assert problem["error"] == "Invalid API key"
        assert problem["status"] == 401


async def test_a_bearer_token_is_no_key(gateway: Gateway) -> None:
    del gateway.client.headers["x-api-key"]
    headers = {"authorization": f"Bearer {gateway.key}"}
    assert (await gateway.client.get("/api/automation/leads", headers=headers)).status_code == 401


async def test_an_expired_key_is_401(gateway: Gateway) -> None:
    await gateway.sql.execute(
        "UPDATE gateway.api_keys SET expires_at = now() - interval '1 second' WHERE workspace = $1",
        gateway.workspace,
    )
    assert (await gateway.client.get("/api/automation/leads")).status_code == 401


async def test_refusals_come_in_their_order(make_settings: MakeSettings) -> None:
    """401, 429, 403, 422, 404: each call has all that is wrong which has not been put right."""
    foreign = "/api/automation/workflow/none/run"
    wrong = {"leadId": "nobody", "input": 5}
    async with open_gateway(make_settings(rate_limit_wait_ms=20_000)) as gateway:
        await gateway.put_welcome()
        limited = await gateway.add_key(gateway.workspace, rate_limit_per_minute=1)
        client = gateway.client
        assert (
            await client.get("/api/automation/leads", headers={"x-api-key": limited})
        ).is_success
        steps = [
            (401, foreign, wrong, "wrong"),
            (429, foreign, wrong, limited),
            (403, foreign, wrong, gateway.key),
            (422, RUN, wrong, gateway.key),
            (404, RUN, {"leadId": "nobody"}, gateway.key),
            (202, RUN, {"leadId": "ahmed"}, gateway.key),
        ]
        for status, path, body, key in steps:
            answer = await client.post(path, json=body, headers={"x-api-key": key})
            assert answer.status_code == status, answer.text
        direct = [
            (403, send(workflowId="none", leadId="nobody", nodeId="a b")),
            (403, send(workflowId="none", leadId="nobody")),
            (422, send(leadId="nobody", nodeId="a b")),
            (422, send(leadId="nobody", config={})),
            (404, send(leadId="nobody")),
            (202, send()),
        ]
        for status, body in direct:
            answer = await client.post(MAIL, json=body)
            assert answer.status_code == status, answer.text


async def test_what_would_not_fit_into_a_message_is_413(gateway: Gateway) -> None:
    """The definition, the lead and the input are each within bounds, and together too large."""
    await gateway.put_welcome()
    size = 900_000
    large = {**WELCOME, "nodes": [{"id": "n", "type": "noop", "config": {"value": "x" * size}}]}
    saved = await gateway.client.put(WORKFLOW, json={**large, "connections": []})
    assert saved.status_code == 200, saved.text
    # Sealed, it takes a third more.
    fields = {"fields": {"x": "y" * (size * 2 // 3)}}
    assert (await gateway.client.put("/api/automation/lead/ahmed", json=fields)).status_code == 200
    fitting = await gateway.client.post(RUN, json={"leadId": "ahmed", "input": {}})
    assert fitting.status_code == 202, fitting.text
    before = await gateway.count_requests()
    data = {"x": "z" * 500_000}
    answer = await gateway.client.post(RUN, json={"leadId": "ahmed", "input": data})
    assert answer.status_code == 413
    names = [f"l{number}" for number in range(40)]
    for name in names:
        await gateway.client.put(f"/api/automation/lead/{name}", json={})
    answer = await gateway.client.post(RUN, json={"leadIds": names})
    assert answer.status_code == 413
    assert await gateway.count_requests() == before


async def test_answers_carry_security_headers(gateway: Gateway) -> None:
    for path in ("/api/health", "/docs", "/nothing", "/api/automation/leads"):
        headers = (await gateway.client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"


async def test_no_answer_shows_how_the_server_is_made(gateway: Gateway) -> None:
    await gateway.sql.execute("DROP TABLE IF EXISTS gateway.scratch")
    answer = await gateway.client.get("/api/automation/leads?cursor=" + "A" * 500)
    assert answer.status_code == 422
    for word in ("Traceback", "SELECT", "asyncpg", "/site-packages/"):
        assert word not in answer.text


async def test_an_unforeseen_error_is_a_500_that_tells_nothing(make_settings: MakeSettings) -> None:
    async with open_gateway(make_settings()) as gateway:
        await gateway.sql.execute("ALTER TABLE gateway.leads RENAME COLUMN locale TO hidden")
        try:
            answer = await gateway.client.get("/api/automation/leads")
        finally:
            await gateway.sql.execute("ALTER TABLE gateway.leads RENAME COLUMN hidden TO locale")
        assert answer.status_code == 500
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "locale" not in answer.text


async def test_pages_of_named_origins_may_call(gateway: Gateway) -> None:
    app = build_app(cors_origins=("https://crm.example.com",))
    app.state.services = gateway.services
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        for origin, allowed in (("https://crm.example.com", True), ("https://evil.example", False)):
            asked = await client.options(
                "/api/automation/leads",
                headers={
                    "origin": origin,
                    "access-control-request-method": "GET",
                    "access-control-request-headers": "x-api-key",
                },
            )
            assert ("access-control-allow-origin" in asked.headers) is allowed
            answer = await client.get(
                "/api/automation/leads", headers={"origin": origin, "x-api-key": gateway.key}
            )
            assert answer.status_code == 200
            assert (answer.headers.get("access-control-allow-origin") == origin) is allowed
    plain = await gateway.client.get("/api/health", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in plain.headers
