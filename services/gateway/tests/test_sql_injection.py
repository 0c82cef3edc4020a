"""What is written into parameters, paths, headers and bodies is never read as SQL: a corpus."""

import secrets
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import orjson
import pytest
from gateway.application import build_app
from gateway.openapi import describe

from services.gateway.tests.conftest import Gateway, MakeSettings, open_gateway

CORPUS: Final = Path(__file__).parent / "data" / "sql_injections.txt"
PAYLOADS: Final = CORPUS.read_text("utf-8").splitlines()
DOCUMENT: Final[dict[str, Any]] = orjson.loads(orjson.dumps(describe(build_app())))
STREAMS: Final = {"/api/automation/run/{runId}/events", "/api/automation/runs/events"}
KNOWN: Final = {"workflowId": "welcome", "leadId": "ahmed", "version": "1", "wait": "0s"}


def targets() -> list[tuple[str, str, str]]:
    """Path, place and name of every parameter that a call without a body takes."""
    return [
        (path, each["in"], each["name"])
        for path, operations in DOCUMENT["paths"].items()
        if path not in STREAMS
        for each in operations.get("get", {}).get("parameters", [])
    ]


def fill(path: str, name: str, payload: str) -> str:
    """The path with the payload in the place of one id, and ids that exist in the others."""
    found = path
    for other, value in {**KNOWN, name: quote(payload, safe="")}.items():
        found = found.replace(f"{{{other}}}", value)
    return found


async def ask(gateway: Gateway, path: str, place: str, name: str, payload: str) -> httpx.Response:
    """One call with the payload in one parameter."""
    query = {name: payload} if place == "query" else {}
    headers = [(name.encode(), payload.encode())] if place == "header" else []
    return await gateway.client.get(fill(path, name, payload), params=query, headers=headers)


async def count_rows(gateway: Gateway) -> list[tuple[str, int]]:
    """How many rows the tables have that an injection could empty or fill."""
    tables = ("leads", "workflow_definitions", "workflow_versions", "api_keys")
    return [
        (table, await gateway.sql.fetchval(f"SELECT count(*) FROM gateway.{table}"))  # noqa: S608
        for table in tables
    ]


def test_the_corpus_is_large_and_reaches_every_parameter() -> None:
    assert len(set(PAYLOADS)) == len(PAYLOADS) >= 50
    found = {(place, name) for _, place, name in targets()}
    assert {("query", "cursor"), ("query", "leadId"), ("query", "status")} <= found
    assert len(targets()) >= 20


async def test_a_parameter_is_never_read_as_sql(make_settings: MakeSettings) -> None:
    """No 5xx, nothing of another workspace, no row more or less.

    A sleep would be ended by PostgreSQL and answered with a 503.
    """
    canary = f"canary{secrets.token_hex(6)}"
    async with open_gateway(make_settings()) as other:
        await other.client.put(f"/api/automation/lead/{canary}", json={"name": canary})
    async with open_gateway(make_settings()) as gateway:
        await gateway.put_welcome()
        rows = await count_rows(gateway)
        for path, place, name in targets():
            for payload in PAYLOADS:
                answer = await ask(gateway, path, place, name, payload)
                case = f"{name}={payload!r} at {path}: {answer.status_code} {answer.text[:300]}"
                assert answer.status_code < 500, case
                assert canary not in answer.text, case
                assert "syntax" not in answer.text, case
        assert await count_rows(gateway) == rows


async def test_a_filter_finds_what_is_called_so_and_nothing_else(gateway: Gateway) -> None:
    await gateway.put_welcome()
    logs = "/api/automation/workflow/welcome/logs"
    for payload in PAYLOADS:
        answer = await gateway.client.get(logs, params={"leadId": payload})
        assert answer.status_code in {200, 422}, payload
        if answer.status_code == 200:
            assert answer.json()["items"] == [], payload


async def test_a_member_is_kept_as_it_was_written(gateway: Gateway) -> None:
    workflow = {"nodes": [{"id": "n", "type": "noop", "config": {}}], "connections": []}
    for payload in PAYLOADS:
        lead = {"name": payload, "tags": [payload], "fields": {payload: payload}}
        saved = await gateway.client.put("/api/automation/lead/a", json=lead)
        assert saved.is_success, saved.text
        found = (await gateway.client.get("/api/automation/lead/a")).json()
        assert {**found, **lead} == found
        body = {**workflow, "name": payload, "description": payload}
        saved = await gateway.client.put("/api/automation/workflow/w", json=body)
        assert saved.is_success, saved.text
        view = (await gateway.client.get("/api/automation/workflow/w")).json()
        assert (view["name"], view["description"]) == (payload, payload)


@pytest.mark.parametrize("header", ["idempotency-key", "x-api-key", "if-match", "traceparent"])
async def test_a_header_is_never_read_as_sql(gateway: Gateway, header: str) -> None:
    await gateway.put_welcome()
    rows = await count_rows(gateway)
    for payload in PAYLOADS:
        answer = await gateway.client.put(
            "/api/automation/lead/ahmed", json={}, headers=[(header.encode(), payload.encode())]
        )
        assert answer.status_code < 500, (payload, answer.text)
        answer = await gateway.client.post(
            "/api/automation/workflow/welcome/run",
            json={"leadId": "nobody"},
            headers=[(header.encode(), payload.encode())],
        )
        assert answer.status_code in {401, 404, 412, 422}, (payload, answer.text)
    assert await count_rows(gateway) == rows
