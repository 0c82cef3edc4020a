"""The OpenAPI document: kept up to date, right in itself, and true of the gateway."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import orjson
import pytest
from gateway.application import build_app
from gateway.auth.access import GUARDED
from gateway.openapi import describe

from services.gateway.tests.conftest import WELCOME, Gateway
from services.gateway.tests.issuers import AUDIENCE, FIRST, ISSUER, issue, key_set
from services.gateway.tests.processes import free_port, run_gateway

ROOT = Path(__file__).parents[3]
SNAPSHOT = ROOT / "docs" / "openapi.json"
LEAST_CASES = 500
HOOKS = "services.gateway.tests.schemathesis_hooks"
OPEN = {
    "/api/health",
    "/api/automation/health",
    "/api/automation/metrics",
    "/api/automation/queue/status",
}


@pytest.fixture(scope="module")
def document() -> Any:
    """The document as the code has it."""
    return orjson.loads(orjson.dumps(describe(build_app())))


def operations(document: Any) -> list[tuple[str, str, Any]]:
    """Path, method and operation of all calls."""
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_the_snapshot_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway.openapi", "--check"], cwd=ROOT, check=False
    )
    assert done.returncode == 0


def test_every_route_is_in_it(document: Any) -> None:
    app = build_app()
    routes = {
        (getattr(route, "path", ""), method.lower())
        for route in _flatten(app.routes)
        for method in getattr(route, "methods", None) or ()
    }
    described = {(path, method) for path, method, _ in operations(document)}
    assert routes - described == {("/docs", "get"), ("/openapi.json", "get")}
    assert len(described) > 15


def _flatten(routes: Any) -> list[Any]:
    """FastAPI keeps included routers whole."""
    found = []
    for route in routes:
        inner = getattr(getattr(route, "original_router", None), "routes", None)
        found += _flatten(inner) if inner is not None else [route]
    return found


def test_every_call_says_its_refusals_and_shows_examples(document: Any) -> None:
    for path, method, operation in operations(document):
        case = f"{method} {path}"
        assert operation["summary"], case
        assert all(each.get("description") for each in operation.get("parameters", ())), case
        answers = operation["responses"]
        if path in OPEN:
            assert "security" not in operation, case
        else:
            needed = GUARDED[method.upper(), path]
            assert operation["security"] == [{"ApiKey": [needed]}, {"Bearer": [needed]}], case
            assert {"401", "403", "429", "503"} <= answers.keys(), case
        if "requestBody" in operation:
            assert {"408", "413", "422"} <= answers.keys(), case
        for status, answer in answers.items():
            if status == "422":
                assert "ValidationError" not in str(answer), case
            if status.startswith("2"):
                for media, content in answer.get("content", {}).items():
                    assert media == "text/plain" or "example" in content, case


def test_examples_are_of_the_shape_that_they_are_examples_of(document: Any) -> None:
    checked = 0
    for path, method, operation in operations(document):
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in (each for body in bodies for each in body.get("content", {}).values()):
            schema = {**content["schema"], "components": document["components"]}
            examples = [each["value"] for each in content.get("examples", {}).values()]
            if "example" in content:
                examples.append(content["example"])
            for example in examples:
                try:
                    jsonschema_rs.validate(schema, example)
                except jsonschema_rs.ValidationError as error:
                    pytest.fail(f"{method} {path}: {error.message}")
                checked += 1
    assert checked > 60


async def test_the_docs_page_needs_no_other_server(gateway: Gateway) -> None:
    page = await gateway.client.get("/docs")
    assert page.status_code == 200
    text = page.text.replace("https://hooks.example.com/mirsal", "")  # An example's.
    assert "http://" not in text
    assert "https://" not in text
    assert "<script" not in page.text
    assert "/api/automation/workflow/{workflowId}/run" in page.text
    assert "the four of <em>Health</em> needs the header <code>x-api-key</code>" in page.text
    assert "`" not in page.text
    assert (await gateway.client.get("/openapi.json")).json() == orjson.loads(SNAPSHOT.read_bytes())


async def test_calls_that_the_document_suggests_get_answers_that_it_describes(
    gateway: Gateway, tmp_path: Path
) -> None:
    """A short run of schemathesis: no 5xx, no status, type or shape that is not in the document."""
    await gateway.put_welcome()
    # An owner without a key: those that there are it finds and revokes.
    (tmp_path / "jwks.json").write_bytes(key_set(FIRST))
    token = issue(workspace=gateway.workspace, role="owner")
    tokens = {
        "MIRSAL_JWT_JWKS": str(tmp_path / "jwks.json"),
        "MIRSAL_JWT_ISSUER": ISSUER,
        "MIRSAL_JWT_AUDIENCE": AUDIENCE,
    }
    async with run_gateway(gateway.settings, free_port(), **tokens) as process:
        program = Path(sys.executable).parent / "schemathesis"
        command = [
            str(program), "run", str(SNAPSHOT), "--url", process.url,
            "--header", f"Authorization: Bearer {token}",
            "--checks", "not_a_server_error,status_code_conformance,"
            "content_type_conformance,response_schema_conformance,response_headers_conformance",
            "--phases", "examples,coverage,fuzzing", "--max-examples", "6", "--seed", "7",
            "--workers", "1", "--max-time", "30", "--no-color", "--request-timeout", "35",
            # These wait for a code runner's answer: tests/e2e/test_code.py has one. And streams
            # do not end.
            "--exclude-path-regex", "/code/|/events$",
            # How long it takes to think of a case says something of this machine alone.
            "--suppress-health-check", "all",
        ]  # fmt: skip
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": HOOKS},
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        report = done.stdout[-6_000:] + done.stderr[-2_000:]
        assert done.returncode == 0, report
        counted = re.search(r"(\d+) generated, (\d+) passed", report)
        assert counted is not None, report
        assert int(counted[1]) == int(counted[2]) > LEAST_CASES, report
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {token}"}) as client:
            saved = await client.put(f"{process.url}/api/automation/workflow/welcome", json=WELCOME)
            assert saved.status_code in {200, 201}
