"""What every call shares: no member that nobody knows, and headers on whatever is answered."""

import re
from collections.abc import Iterator
from typing import Any, Final

import httpx
import orjson
import pytest
from gateway.application import build_app
from gateway.auth.access import GUARDED, Role
from gateway.openapi import describe
from pydantic import ValidationError

from services.gateway.tests.conftest import AHMED, Gateway, MakeSettings

DOCUMENT: Final[dict[str, Any]] = orjson.loads(orjson.dumps(describe(build_app())))
SCHEMAS: Final = DOCUMENT["components"]["schemas"]
SECURITY: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
OWN: Final = (
    "workspace",
    "tenantId",
    "owner",
    "status",
    "createdAt",
    "createdBy",
    "id",
    "__class__",
)
FREE: Final = {"JsonValue", "config", "input", "fields"}
"""Whose members are the caller's to name."""
THEIRS: Final = {"ServiceAccountKey", "AuthorizedUser"}
"""Files as Google gives them, with members of Google's choice: what is not known is left out."""


def bodies() -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Method, path, the schema's name and the example of each JSON body."""
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is not None:
                name = content["schema"]["$ref"].rpartition("/")[2]
                example = next(iter(content["examples"].values()))["value"]
                yield method.upper(), path, name, example


BODIES: Final = list(bodies())
OURS: Final = {"workflowId": "welcome", "leadId": "ahmed", "channel": "email"}


def find_open(schema: Any, at: str, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Where a body takes members that nobody knows."""
    if isinstance(schema, list):
        for inner in schema:
            yield from find_open(inner, at, seen)
    if not isinstance(schema, dict):
        return
    name = schema.get("$ref", "").rpartition("/")[2]
    if name and name not in seen | FREE | THEIRS:
        yield from find_open(SCHEMAS[name], f"{at}:{name}", seen | {name})
    if "properties" in schema and schema.get("additionalProperties") is not False:
        yield at
    for member, inner in schema.get("properties", {}).items():
        if member not in FREE:
            yield from find_open(inner, f"{at}.{member}", seen)
    for keyword in ("items", "prefixItems", "anyOf", "oneOf", "allOf"):
        yield from find_open(schema.get(keyword), at, seen)


def test_no_body_takes_a_member_that_nobody_knows() -> None:
    assert len(BODIES) >= 8
    assert [place for _, _, name, _ in BODIES for place in find_open(SCHEMAS[name], name)] == []


async def test_nobody_sets_what_is_the_servers(gateway: Gateway) -> None:
    """For each body of the document: its example with one member more is refused at that member."""
    await gateway.put_welcome()
    key = await gateway.add_key(gateway.workspace, role=Role.OWNER)
    gateway.client.headers["x-api-key"] = key
    for method, path, schema, example in BODIES:
        filled = path.format_map({**dict.fromkeys(re.findall(r"{(\w+)}", path), "any"), **OURS})
        for name in OWN:
            if name in SCHEMAS[schema].get("properties", {}):
                continue
            answer = await gateway.client.request(method, filled, json={**example, name: "x"})
            case = f"{method} {path} with {name}: {answer.text}"
            assert answer.status_code == 422, case
            pointers = [each.get("pointer") for each in answer.json()["errors"]]
            assert f"/{name}" in pointers, case
    lead = (await gateway.client.get("/api/automation/lead/ahmed")).json()
    assert lead.items() >= {"name": AHMED["name"], "email": AHMED["email"]}.items()


def check(answer: httpx.Response, status: int) -> None:
    """An answer has its status and the headers that all have, each once."""
    case = f"{answer.request.method} {answer.request.url}: {answer.text[:200]}"
    assert answer.status_code == status, case
    for name, value in SECURITY.items():
        assert answer.headers.get_list(name) == [value], case
    assert "default-src 'none'" in answer.headers["content-security-policy"], case
    assert "server" not in answer.headers, case
    assert "x-powered-by" not in answer.headers, case


async def test_every_answer_has_its_headers(gateway: Gateway, make_settings: MakeSettings) -> None:
    await gateway.put_welcome()
    client, lead = gateway.client, "/api/automation/lead/ahmed"
    check(await client.get("/docs"), 200)
    check(await client.get("/openapi.json"), 200)
    check(await client.get("/api/health"), 200)
    check(await client.get(lead), 200)
    check(await client.put("/api/automation/lead/new", json={}), 201)
    check(await client.get(lead, headers={"x-api-key": "wrong"}), 401)
    check(await client.get("/api/automation/workflow/none"), 403)
    check(await client.get("/api/automation/keys"), 403)
    check(await client.get("/nothing"), 404)
    check(await client.get("/api/automation/nothing"), 404)
    check(await client.request("PATCH", lead, json={}), 405)
    check(await client.put(lead, content=b"x" * 2_000_000), 413)
    check(await client.post("/api/automation/leads", json=[]), 415)
    check(await client.put(lead, content=b"{"), 422)
    check(await client.get("/api/automation/leads?limit=x"), 422)
    limited = await gateway.add_key(gateway.workspace, rate_limit_per_minute=1)
    for status in (200, 429):
        check(await client.get(lead, headers={"x-api-key": limited}), status)


async def test_every_path_refuses_other_methods(gateway: Gateway) -> None:
    methods = {"GET", "PUT", "POST", "DELETE", "PATCH", "TRACE"}
    for path in {path for _, path in GUARDED}:
        allowed = {method for method, other in GUARDED if other == path}
        for method in methods - allowed:
            answer = await gateway.client.request(method, path.replace("{", "").replace("}", ""))
            assert answer.status_code in {404, 405}, f"{method} {path}: {answer.status_code}"


@pytest.mark.parametrize(
    "origins",
    ["*", "https://a.example, *", "null", "a.example", "https://a.example/", "https://*.a.example",
     "file:///x", "https://a.example/path", "https://u:p@a.example"],
)  # fmt: skip
def test_origins_are_named_one_by_one(make_settings: MakeSettings, origins: str) -> None:
    assert make_settings(cors_origins="https://a.example, http://b:81").cors_origins
    with pytest.raises(ValidationError, match="is no origin"):
        make_settings(cors_origins=origins)


async def test_no_page_gets_more_than_named_origins(gateway: Gateway) -> None:
    app = build_app(cors_origins=("https://crm.example.com",))
    app.state.services = gateway.services
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        for origin in ("https://crm.example.com.evil.example", "https://crm.example.com:81",
                       "http://crm.example.com", "null", "https://CRM.example.com"):  # fmt: skip
            for key, status in ((gateway.key, 200), ("wrong", 401)):
                headers = {"origin": origin, "x-api-key": key}
                answer = await client.get("/api/automation/leads", headers=headers)
                check(answer, status)
                assert "access-control-allow-origin" not in answer.headers
        headers = {"origin": "https://crm.example.com", "x-api-key": "wrong"}
        answer = await client.get("/api/automation/leads", headers=headers)
        check(answer, 401)
        assert answer.headers["access-control-allow-origin"] == "https://crm.example.com"
        assert "access-control-allow-credentials" not in answer.headers
        assert "Origin" in answer.headers["vary"]
