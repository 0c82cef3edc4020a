"""Credentials over REST: written, never read back, named by nodes, wrapped anew."""

import secrets
from typing import Any
from uuid import uuid4

import orjson
import pytest
from gateway.auth.access import Role
from gateway.credentials.schemas import CredentialDraft
from gateway.credentials.sealing import Sealer
from gateway.credentials.store import CredentialStore, DataKey
from gateway.store import open_database
from mirsal_contracts.credentials import AnyAccount
from mirsal_runtime.vault.keys import GivenKeys, write_new_key
from mirsal_runtime.vault.sealing import data_key_context, make_key
from pydantic import SecretStr

from services.gateway.tests.conftest import (
    AHMED,
    WELCOME,
    Gateway,
    MakeSettings,
    open_gateway,
    run_module,
)
from services.gateway.tests.processes import environment_of

PATH = "/api/automation/credential/"
SECRET = "canary-" + secrets.token_hex(8)
SMTP: dict[str, Any] = {
    "name": "Support",
    "account": {
        "type": "smtp",
        "host": "smtp.example.com",
        "username": "support@example.com",
        "password": SECRET,
        "from": "support@example.com",
    },
}
WHATSAPP: dict[str, Any] = {
    "account": {"type": "whatsapp", "token": SECRET, "phoneNumberId": "1055"}
}
KEY_FILE: dict[str, Any] = {
    "type": "service_account",
    "project_id": "acme",
    "private_key_id": "1",
    "private_key": SECRET,
    "client_email": "robot@acme.iam.gserviceaccount.com",
    "client_id": "2",
    "token_uri": "https://evil.example/token",
}
GOOGLE: dict[str, Any] = {"account": {"type": "google", "key": KEY_FILE}}


@pytest.fixture
async def owner(gateway: Gateway) -> Gateway:
    """The gateway, called by an owner."""
    key = await gateway.add_key(gateway.workspace, role=Role.OWNER)
    gateway.client.headers["x-api-key"] = key
    return gateway


async def put(gateway: Gateway, credential_id: str, draft: dict[str, Any], status: int) -> Any:
    """Save a credential; the answer."""
    answer = await gateway.client.put(PATH + credential_id, json=draft)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_a_credential_is_saved_listed_replaced_and_deleted(owner: Gateway) -> None:
    made = await put(owner, "support", SMTP, 201)
    assert (made["type"], made["name"]) == ("smtp", "Support")
    assert made["summary"] == "support@example.com by smtp.example.com"
    replaced = await put(owner, "support", {**SMTP, "name": None}, 200)
    assert replaced["name"] is None
    assert replaced["createdAt"] == made["createdAt"] < replaced["updatedAt"]
    await put(owner, "sales", WHATSAPP, 201)
    await put(owner, "rows", GOOGLE, 201)
    first = (await owner.client.get("/api/automation/credentials?limit=2")).json()
    rest = await owner.client.get(f"/api/automation/credentials?cursor={first['nextCursor']}")
    listed = first["items"] + rest.json()["items"]
    assert [each["credentialId"] for each in listed] == ["support", "sales", "rows"]
    assert [each["summary"] for each in listed][1:] == [
        "phone number 1055",
        KEY_FILE["client_email"],
    ]
    assert (await owner.client.get(PATH + "support")).json() == listed[0] == replaced
    assert (await owner.client.delete(PATH + "support")).json() == replaced
    for gone in (owner.client.get, owner.client.delete):
        assert (await gone(PATH + "support")).status_code == 404
    assert (await owner.client.post(PATH + "support/check")).status_code == 404


async def test_no_answer_and_no_table_holds_a_secret(owner: Gateway) -> None:
    drafts = {"support": SMTP, "sales": WHATSAPP, "rows": GOOGLE}
    answers = [await put(owner, name, draft, 201) for name, draft in drafts.items()]
    answers += [(await owner.client.get(PATH + name)).json() for name in drafts]
    answers.append((await owner.client.get("/api/automation/credentials")).json())
    for draft in drafts.values():
        wrong = {"account": {**draft["account"], "stranger": SECRET, "host": f"{SECRET} {SECRET}"}}
        answers.append(await put(owner, "wrong", wrong, 422))
    assert SECRET not in orjson.dumps(answers).decode()
    rows = await owner.sql.fetch(
        "SELECT credential::text AS text, sealed FROM gateway.credentials AS credential"
        " WHERE workspace = $1",
        owner.workspace,
    )
    assert len(rows) == 3
    assert not [row for row in rows if SECRET in row["text"] or SECRET.encode() in row["sealed"]]


async def test_the_type_of_a_credential_stays(owner: Gateway) -> None:
    await put(owner, "one", SMTP, 201)
    await put(owner, "one", WHATSAPP, 409)
    assert (await owner.client.get(PATH + "one")).json()["type"] == "smtp"


@pytest.mark.parametrize(
    ("account", "pointer"),
    [
        ({"type": "smtp"}, "/account/host"),
        ({**SMTP["account"], "host": "a b"}, "/account/host"),
        ({**SMTP["account"], "from": "a\r\nBcc: b"}, "/account/from"),
        ({**SMTP["account"], "tls": "none"}, "/account"),
        ({**SMTP["account"], "token": "x"}, "/account/token"),
        ({**WHATSAPP["account"], "token": "two words"}, "/account/token"),
        ({**WHATSAPP["account"], "phoneNumberId": "../me"}, "/account/phoneNumberId"),
        ({"type": "google", "key": {"type": "external_account"}}, "/account/key/type"),
        ({"type": "google", "key": {**KEY_FILE, "private_key": ""}}, "/account/key/private_key"),
        ({"type": "imap"}, "/account/type"),
    ],
)
async def test_what_is_no_account_is_named_by_its_pointer(
    owner: Gateway, account: dict[str, Any], pointer: str
) -> None:
    refused = await put(owner, "one", {"account": account}, 422)
    assert [each["pointer"] for each in refused["errors"]] == [pointer]


async def test_a_publish_names_credentials_that_are_not_there(owner: Gateway) -> None:
    await put(owner, "support", SMTP, 201)
    nodes = [
        {**node, "config": {**node["config"], "credentialId": name}}
        for node, name in zip(WELCOME["nodes"], ("nobody", "support"), strict=True)
    ]
    path = "/api/automation/workflow/welcome"
    refused = await owner.client.put(path, json={**WELCOME, "nodes": nodes})
    assert refused.status_code == 422
    assert [(each["pointer"], each["message"][:20]) for each in refused.json()["errors"]] == [
        ("/nodes/0/config/credentialId", "there is no such cre"),
        ("/nodes/1/config/credentialId", "is a credential of t"),
    ]
    nodes[0]["config"]["credentialId"] = "support"
    nodes[1] = WELCOME["nodes"][1]
    assert (await owner.client.put(path, json={**WELCOME, "nodes": nodes})).status_code == 201
    stranger = await owner.add_key(f"w-{secrets.token_hex(4)}", role=Role.OWNER)
    refused = await owner.client.put(
        path, json={**WELCOME, "nodes": nodes}, headers={"x-api-key": stranger}
    )
    assert refused.status_code == 422, "a credential is its workspace's alone"


async def test_a_direct_call_names_a_credential(owner: Gateway) -> None:
    await put(owner, "support", SMTP, 201)
    await owner.put_welcome()
    mail = {
        "leadId": "ahmed",
        "workflowId": "welcome",
        "nodeId": "n",
        "config": {"subject": "s", "body": "b", "credentialId": "nobody"},
    }
    refused = await owner.client.post("/api/automation/email/send", json=mail)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/config/credentialId"
    mail["config"] = {"subject": "s", "body": "b", "credentialId": "support"}
    started = await owner.client.post("/api/automation/email/send", json=mail)
    assert started.status_code == 202, started.text
    (requested,) = await owner.find_requests(started.json()["runId"])
    (node,) = requested.request.graph.nodes
    assert node.config["credentialId"] == "support"
    for name in ("checkConnection", "credentialId"):
        mail["config"] = {"subject": "s", "body": "b", name: "{{lead.name}}"}
        refused = await owner.client.post("/api/automation/email/send", json=mail)
        assert refused.status_code == 422, "only the gateway asks for checks; an id is no template"
    assert AHMED["name"] not in refused.text


async def test_who_must_have_an_account_of_his_own_is_told_so_at_the_door(
    make_settings: MakeSettings,
) -> None:
    nodes = [
        {"id": "mail", "type": "email", "config": {"subject": "s", "body": "b"}},
        {"id": "chat", "type": "whatsapp", "config": {"text": "t", "credentialId": "gone"}},
        {"id": "nothing", "type": "noop", "config": {}},
    ]
    mail = {"leadId": "ahmed", "workflowId": "w", "nodeId": "n", "config": nodes[0]["config"]}
    path = "/api/automation/workflow/w"
    async with open_gateway(make_settings(shared_accounts="others, more")) as gateway:
        refused = await gateway.client.put(path, json={"name": "W", "nodes": nodes})
        assert refused.status_code == 422
        faults = {each["pointer"]: each["message"] for each in refused.json()["errors"]}
        assert set(faults) == {"/nodes/0/config/credentialId", "/nodes/1/config/credentialId"}
        assert "does not lend" in faults["/nodes/0/config/credentialId"]
        saved = await gateway.client.put(path, json={"name": "W", "nodes": nodes[2:]})
        assert saved.status_code == 201, saved.text
        await gateway.client.put("/api/automation/lead/ahmed", json=AHMED)
        direct = await gateway.client.post("/api/automation/email/send", json=mail)
        assert direct.status_code == 422
        assert "does not lend" in direct.text
    async with open_gateway(make_settings(shared_accounts="")) as gateway:
        refused = await gateway.client.put(path, json={"name": "W", "nodes": nodes[:1]})
        assert refused.status_code == 422


async def test_without_keys_nothing_is_saved(make_settings: MakeSettings) -> None:
    async with open_gateway(make_settings(vault_keys=SecretStr(""), seal_leads=False)) as gateway:
        key = await gateway.add_key(gateway.workspace, role=Role.OWNER)
        gateway.client.headers["x-api-key"] = key
        await put(gateway, "support", SMTP, 503)
        assert (await gateway.client.get(PATH + "support")).status_code == 404


async def test_keys_are_rotated_and_credentials_stay(
    make_settings: MakeSettings,
) -> None:
    """The gateway of before, which knows both keys, goes on with either."""
    old, new = write_new_key("old"), write_new_key("new")
    others = make_settings().vault_keys.get_secret_value()
    settings = make_settings(vault_keys=SecretStr(f"{old},{new}"))
    async with open_gateway(settings) as gateway:
        key = await gateway.add_key(gateway.workspace, role=Role.OWNER)
        gateway.client.headers["x-api-key"] = key
        await put(gateway, "support", SMTP, 201)
        async with open_database(settings, purpose="tests", size=1) as database:
            store, ring = CredentialStore(database), GivenKeys(SecretStr(old))
            for _ in range(1200):
                data_key, workspace = uuid4(), f"w-{secrets.token_hex(6)}"
                wrapped = await ring.wrap(make_key(), data_key_context(workspace, data_key))
                await store.add_data_key(DataKey(data_key, workspace, wrapped))
            rotated = {**environment_of(settings), "MIRSAL_VAULT_KEYS": f"{new},{old},{others}"}
            text = run_module("gateway.cli", "vault", "rotate", **rotated)
            assert int(text.removeprefix("wrapped anew: ")) >= 1201
            assert run_module("gateway.cli", "vault", "rotate", **rotated) == "wrapped anew: 0\n"
            mine = await store.find_data_key(gateway.workspace)
            assert mine is not None
            assert mine.wrapped.key_id == "new"
            # The old key is not needed any more; the sealed account is as it was.
            sealer = Sealer(store, GivenKeys(SecretStr(new)))
            assert (await sealer.seal(gateway.workspace, "x", _account()))[0] == mine.id
        await put(gateway, "support", SMTP, 200)
        # Back to the key that the other tests have.
        back = {**rotated, "MIRSAL_VAULT_KEYS": f"{others},{new}"}
        run_module("gateway.cli", "vault", "rotate", **back)


def _account() -> AnyAccount:
    return CredentialDraft.model_validate(SMTP).account
