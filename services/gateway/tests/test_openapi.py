"""The OpenAPI document: kept up to date, right in itself, and true of the gateway."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest
from gateway.application import build_app
from gateway.auth.access import GUARDED
from gateway.links import TELLS
from gateway.openapi import TAGS, describe

from services.gateway.tests.conftest import Gateway

ROOT = Path(__file__).parents[3]
SNAPSHOT = ROOT / "docs" / "openapi.json"
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
            assert operation["security"] == [], case
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


def test_clients_can_take_answers_and_bodies_for_what_they_are(document: Any) -> None:
    schemas = document["components"]["schemas"]
    run, start = schemas["RunView"], schemas["StartRun"]
    assert set(run["required"]) == set(run["properties"]) >= {"runId", "status", "error"}
    assert "default" not in str(run["properties"]["status"])
    assert "required" not in start, "leadId and leadIds may each be left out"
    assert not [each for each in start["properties"].values() if "default" in each]
    assert schemas["SecretRotation"]["properties"]["overlapHours"]["default"] == 24
    assert "errors" not in schemas["ProblemDetails"]["required"]


def test_groups_of_calls_are_described_and_open_calls_say_so(document: Any) -> None:
    calls = [(path, call) for path, calls in document["paths"].items() for call in calls.values()]
    assert {tag for _, call in calls for tag in call["tags"]} == set(TAGS)
    assert [tag["name"] for tag in document["tags"]] == list(TAGS)
    assert {path for path, call in calls if call["security"] == []} == OPEN


def shapeless(schema: Any, place: str) -> Iterator[str]:
    """Where a schema says nothing of what is there; references are looked at by themselves."""
    said = schema.keys() - {"title", "description", "default", "examples"}
    kinds = {"$ref", "anyOf", "oneOf", "allOf", "enum", "const", "type"}
    if not said & kinds:
        yield place
    if schema.get("type") == "object":
        members = {"properties", "patternProperties", "additionalProperties"} & said
        if not members or schema.get("additionalProperties") is True:
            yield place
    if schema.get("type") == "array" and "items" not in schema:
        yield place
    for name in ("properties", "patternProperties"):
        for member, inner in schema.get(name, {}).items():
            yield from shapeless(inner, f"{place}.{member}")
    inners = [schema.get("items"), schema.get("additionalProperties")]
    inners += [each for name in ("anyOf", "oneOf", "allOf") for each in schema.get(name, ())]
    for inner in inners:
        if isinstance(inner, dict):
            yield from shapeless(inner, f"{place}[]")


def test_generated_clients_have_a_type_for_everything(document: Any) -> None:
    """JSON that is the caller's own (fields, input, output) is `JsonValue`, and nothing else is."""
    schemas = document["components"]["schemas"]
    found = {place for name, schema in schemas.items() for place in shapeless(schema, name)}
    assert found == {"JsonValue"}
    for path, method, operation in operations(document):
        bodies = {"body": operation.get("requestBody", {}), **operation["responses"]}
        for place, body in bodies.items():
            for media, content in body.get("content", {}).items():
                case = f"{method} {path} {place} {media}"
                if media not in {"application/json", "application/problem+json"}:
                    assert content["schema"] == {"type": "string"}, case
                    continue
                named = content["schema"].get("anyOf", [content["schema"]])
                assert all(each["$ref"].split("/")[-1] in schemas for each in named), case
        for each in operation.get("parameters", ()):
            assert not list(shapeless(each["schema"], "")), f"{method} {path} {each['name']}"


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"description": "anything"},
        {"type": "object"},
        {"type": "object", "additionalProperties": True},
        {"type": "array"},
        {"type": "object", "properties": {"x": {"anyOf": [{"type": "null"}, {}]}}},
    ],
)
def test_what_has_no_shape_is_found(schema: Any) -> None:
    assert list(shapeless(schema, "it"))


def test_links_lead_to_every_call_that_needs_an_id(document: Any) -> None:
    names = {operation["operationId"]: path for path, _, operation in operations(document)}
    assert len(names) == len(operations(document)), "a client would have two calls of one name"
    led_to = set()
    for _, _, operation in operations(document):
        for answer in operation["responses"].values():
            for link in answer.get("links", {}).values():
                led_to.add(link["operationId"])
                path = names[link["operationId"]]
                wanted = {part[1:-1] for part in path.split("/") if part.startswith("{")}
                given = link.get("parameters", {}).keys()
                assert given <= wanted
                assert given == wanted or "requestBody" in link
    assert {name for name, path in names.items() if "{" in path} <= led_to
    assert not TELLS.keys() - names.keys()
