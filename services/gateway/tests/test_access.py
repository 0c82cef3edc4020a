"""Who may call what: every call of the OpenAPI document, by everybody who may not make it."""

import secrets
from itertools import pairwise
from typing import Any, NamedTuple

import httpx
import orjson
import pytest
from fastapi import APIRouter, FastAPI
from gateway.application import build_app, include_guarded
from gateway.auth.access import GUARDED, LEAST_ROLES, OPEN, Role, Scope, scope_of, scopes_of
from gateway.auth.guard import GuardedRoute
from gateway.auth.keys import generate_key
from gateway.openapi import describe

from services.gateway.tests.conftest import Gateway, MakeSettings, open_gateway
from services.gateway.tests.one_of_each import make_one_of_each

DENIED = {
    "error": "Access denied",
    "type": "urn:mirsal:problem:access-denied",
    "title": "Access denied",
    "status": 403,
    "detail": "The caller may not do this.",
}

UNKNOWN = {
    "error": "Invalid API key",
    "type": "urn:mirsal:problem:invalid-api-key",
    "title": "Invalid API key",
    "status": 401,
    "detail": "Send a valid key in the header x-api-key.",
}


class Case(NamedTuple):
    """One call of the document, with the example that the document has for its body."""

    method: str
    path: str
    body: bytes | None
    media_type: str

    def fill(self, **ids: str) -> str:
        """The path with ids."""
        return self.path.format(**{"version": "1", "channel": "email", **ids})


def _cases() -> list[Case]:
    document: Any = orjson.loads(orjson.dumps(describe(build_app())))
    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            contents: dict[str, Any] = operation.get("requestBody", {}).get("content", {})
            media_type, body = "", None
            if contents:
                media_type, content = next(iter(contents.items()))
                example = content.get("example")
                if example is None:
                    example = next(iter(content["examples"].values()))["value"]
                body = example.encode() if isinstance(example, str) else orjson.dumps(example)
            found.append(Case(method.upper(), path, body, media_type))
    return found


CASES = _cases()
CLOSED = [case for case in CASES if (case.method, case.path) not in OPEN]
NOBODY = {
    "workflowId": "welcome",
    "leadId": "ahmed",
    "runId": "01936f2e-8a00-7c11-9d3b-5f0c2a417e90",
    "executionId": "01936f2e-8a00-84bd-bc3e-d4f4b8389c69",
    "keyId": "6f1f6f0e-5a4c-4d0c-9a43-0d5f3f6f1c11",
    "jobId": "01936f2e-8a00-7f10-8d2c-33b1c0de5a77",
    "letterId": "5d0cf7a2-3f0b-5c1e-9a51-6f6c2b8e4d17",
    "webhookId": "0d3f6c1e-9a4b-4c55-8d27-6a1f0b2c3d4e",
    "deliveryId": "7b1c9d2e-3f40-4a51-b662-c7d8e9f0a1b2",
    "credentialId": "support",
    "suppressionId": "3f2b8c1d-5a60-4e71-9c82-d3e4f5a6b7c8",
}


async def call(
    gateway: Gateway, case: Case, key: str | None, ids: dict[str, str] | None = None
) -> httpx.Response:
    """One call with a key, or without any."""
    headers = {"content-type": case.media_type} if case.body is not None else {}
    if key is not None:
        headers["x-api-key"] = key
    gateway.client.headers.pop("x-api-key", None)
    path = case.fill(**{**NOBODY, **(ids or {})})
    return await gateway.client.request(case.method, path, content=case.body, headers=headers)


def test_the_table_and_the_document_name_the_same_calls() -> None:
    described = {(case.method, case.path) for case in CASES}
    unseen = {("GET", "/docs"), ("GET", "/openapi.json")}
    assert described | unseen == GUARDED.keys() | OPEN
    assert not GUARDED.keys() & OPEN
    assert len(CLOSED) > 20
    assert set(GUARDED.values()) == set(Scope) == LEAST_ROLES.keys()


def test_a_route_without_an_entry_cannot_be_made() -> None:
    router = APIRouter(prefix="/api/automation", route_class=GuardedRoute)

    async def read_secrets() -> str:
        return "secrets"

    with pytest.raises(LookupError, match="/api/automation/secrets"):
        router.add_api_route("/secrets", read_secrets)
    with pytest.raises(LookupError, match="PATCH"):
        router.add_api_route("/leads", read_secrets, methods=["PATCH"])
    careless = APIRouter(prefix="/api/automation")
    careless.add_api_route("/leads", read_secrets)
    with pytest.raises(TypeError, match="GuardedRoute"):
        include_guarded(FastAPI(), careless)


def test_each_role_may_more_than_the_one_before() -> None:
    scopes = [scopes_of(role) for role in Role]
    assert all(less < more for less, more in pairwise(scopes))
    assert scopes[-1] == set(Scope)
    assert not [scope for scope in scopes[0] if not scope.endswith(":read")]
    assert scopes_of(Role.VIEWER, [Scope.LEADS_WRITE, Scope.LEADS_READ]) == {Scope.LEADS_READ}


async def test_no_call_is_open_to_who_is_not_known(gateway: Gateway) -> None:
    expired = await gateway.add_key(gateway.workspace, role=Role.OWNER)
    revoked = await gateway.add_key(gateway.workspace, role=Role.OWNER)
    for column, ended in (("expires_at", expired), ("revoked_at", revoked)):
        await gateway.sql.execute(
            f"UPDATE gateway.api_keys SET {column} = now() - interval '1 s'"  # noqa: S608 - ours
            " WHERE workspace = $1 AND hint = $2",
            gateway.workspace,
            ended[:9],
        )
    for case in CLOSED:
        bodies = set()
        for key in (None, "", "wrong", generate_key(), expired, revoked):
            answer = await call(gateway, case, key)
            assert answer.status_code == 401, (case, key, answer.text)
            assert answer.json() == UNKNOWN
            bodies.add(answer.content)
        assert len(bodies) == 1, "the answer tells which keys there are"


@pytest.mark.parametrize("role", Role)
async def test_a_role_may_what_the_table_says_and_no_more(gateway: Gateway, role: Role) -> None:
    key = await gateway.add_key(gateway.workspace, role=role)
    before = await gateway.count_requests()
    for case in CLOSED:
        if "/code/" in case.path and role in {Role.EDITOR, Role.OWNER}:
            continue  # Waits for a code runner; a workflow that is missing is a 403, too.
        allowed = GUARDED[case.method, case.path] in scopes_of(role)
        if allowed and case.path.endswith("/runs/events"):
            continue  # Does not end.
        answer = await call(gateway, case, key)
        if not allowed:
            assert (answer.status_code, answer.json()) == (403, DENIED), (role, case)
        elif "{workflowId}" in case.path or b'"workflowId"' in (case.body or b""):
            # As for the others' workflows: there is none, so what the role may shows in saving.
            assert answer.status_code in {200, 201, 202, 403}, (role, case, answer.text)
        else:
            assert answer.status_code in {200, 201, 202, 404}, (role, case, answer.text)
    if role is Role.VIEWER:
        assert await gateway.count_requests() == before
        tables = ("workflow_definitions", "leads")
        for table in tables:
            count = await gateway.sql.fetchval(
                f"SELECT count(*) FROM gateway.{table} WHERE workspace = $1",  # noqa: S608 - ours
                gateway.workspace,
            )
            assert count == 0


async def test_a_key_may_be_held_to_some_scopes(gateway: Gateway) -> None:
    key = await gateway.add_key(
        gateway.workspace, role=Role.OWNER, scopes=[Scope.LEADS_WRITE, Scope.LEADS_READ]
    )
    for case in CLOSED:
        answer = await call(gateway, case, key)
        if scope_of((case.method, case.path)) in {Scope.LEADS_WRITE, Scope.LEADS_READ}:
            assert answer.status_code in {200, 201, 202}, case
        else:
            assert (answer.status_code, answer.json()) == (403, DENIED), case


async def test_what_is_another_workspaces_is_as_if_it_were_not(make_settings: MakeSettings) -> None:
    """Each call with ids of a workspace that has all of them, and with ids that nobody has."""
    async with open_gateway(make_settings()) as gateway:
        mine = await gateway.add_key(gateway.workspace, role=Role.OWNER)
        gateway.client.headers["x-api-key"] = mine
        theirs = await make_one_of_each(gateway)
        assert theirs.keys() == NOBODY.keys(), "there is a kind of ids that it makes none of"
        nobodys = {**NOBODY, "workflowId": "nothing", "leadId": "nothing"}
        nobodys["credentialId"] = "nothing"
        stranger = await gateway.add_key(f"w-{secrets.token_hex(4)}", role=Role.OWNER)
        checked = set()
        for case in CLOSED:
            is_naming = "{" in case.path or b'"workflowId"' in (case.body or b"")
            if not is_naming or _saves(case):
                continue  # What it saves becomes the stranger's own.
            foreign = await call(gateway, case, stranger, theirs)
            missing = await call(gateway, case, stranger, nobodys)
            assert foreign.status_code in {403, 404}, (case, foreign.text)
            assert foreign.status_code == missing.status_code
            assert foreign.content == missing.content, "the answer tells that it exists"
            if "{workflowId}" in case.path or b'"workflowId"' in (case.body or b""):
                assert foreign.json() == DENIED, case
            checked |= {part for part in case.path.split("/") if part.startswith("{")}
            if case.method == "GET" and not case.path.endswith("/events"):
                # What the owner sees under the ids, so that the test can fail.
                seen = await call(gateway, case, mine, theirs)
                assert seen.status_code == 200, (case, seen.text)
        assert checked == {f"{{{name}}}" for name in [*theirs, "version"]}
        alive = await gateway.sql.fetchval(
            "SELECT revoked_at IS NULL AND replaced_by IS NULL FROM gateway.api_keys WHERE id = $1",
            theirs["keyId"],
        )
        assert alive


async def test_what_a_stranger_saves_under_the_same_ids_is_its_own(gateway: Gateway) -> None:
    await gateway.put_welcome()
    mine = gateway.key
    workflow, lead = _case("GET", "/workflow/{workflowId}"), _case("GET", "/lead/{leadId}")
    before = [(await call(gateway, case, mine)).content for case in (workflow, lead)]
    stranger = await gateway.add_key(f"w-{secrets.token_hex(4)}", role=Role.OWNER)
    for case in CLOSED:
        if _saves(case):
            assert (await call(gateway, case, stranger)).status_code in {200, 201}, case
    after = [(await call(gateway, case, mine)).content for case in (workflow, lead)]
    assert after == before


def _saves(case: Case) -> bool:
    """Whether the call makes what it names, where that is not there yet."""
    makes = case.method == "PUT" and "{webhookId}" not in case.path
    return makes or case.path.endswith("/leads")


def _case(method: str, ending: str) -> Case:
    path = "/api/automation" + ending
    return next(case for case in CASES if (case.method, case.path) == (method, path))
