"""Secrets planted in every kind of credential are in no topic, table, log, span or answer."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.searching import find_in_logs, find_in_tables, find_in_topics, in_any

if TYPE_CHECKING:
    from mirsal_testing.otlp import OtlpReceiver
    from mirsal_testing.rest import RestClient
    from mirsal_testing.simulators.sheets import SheetsSimulatorClient
    from mirsal_testing.simulators.smtp.client import InboxClient
    from mirsal_testing.simulators.whatsapp.client import WhatsAppSimulatorClient
    from mirsal_testing.stack import Stack

    from tests.e2e.conftest import People

pytestmark = pytest.mark.e2e

CANARY = "canary" + secrets.token_hex(12)
ONCE = {"attempts": 1}


def make_accounts(stack: Stack, key: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """An account of each kind, with the canary for its secret."""
    return {
        "c-mail": {
            "type": "smtp", "host": "127.0.0.1", "tls": "none", "username": "mirsal",
            "port": int(stack.environment["MIRSAL_SMTP_PORT"]), "password": CANARY,
            "from": "canary@acme.example",
        },
        "c-chat": {"type": "whatsapp", "token": CANARY, "phoneNumberId": "100000000000007"},
        "c-rows": {"type": "google", "key": key},
        "c-user": {
            "type": "google",
            "key": {
                "type": "authorized_user", "client_id": "c", "client_secret": CANARY,
                "refresh_token": CANARY,
            },
        },
    }  # fmt: skip


def make_nodes(spreadsheet: str) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """A mail, a message and a row, one after the other, each by its credential."""
    row = {"operation": "append", "spreadsheetId": spreadsheet, "sheet": "S", "values": {"n": "1"}}
    nodes = [
        ("mail", "email", {"subject": "s", "body": "b", "credentialId": "c-mail"}),
        ("chat", "whatsapp", {"text": "t", "credentialId": "c-chat"}),
        ("row", "google_sheets", {**row, "credentialId": "c-rows"}),
    ]
    drafts = [{"id": i, "type": t, "config": c, "retry": ONCE} for i, t, c in nodes]
    joins = [{"from": "mail", "to": "chat"}, {"from": "chat", "to": "row"}]
    return drafts, joins


async def test_no_secret_of_a_credential_is_found_anywhere(
    api: RestClient,
    stack: Stack,
    inbox: InboxClient,
    whatsapp: WhatsAppSimulatorClient,
    sheets: SheetsSimulatorClient,
    people: People,
    otlp: OtlpReceiver,
) -> None:
    key = dict((await sheets.credentials())["serviceAccount"])
    pem = key["private_key"].splitlines()[3]
    texts = (CANARY, pem)
    answers: list[object] = []
    for name, account in make_accounts(stack, key).items():
        answers.append(await api.call("PUT", f"/credential/{name}", json={"account": account}))
        path = f"/credential/{name}/check"
        checked = await api.call("POST", path, params={"wait": "20s"})
        assert checked["works"] is (name != "c-user"), checked
        answers.append(checked)
    spreadsheet = await sheets.add_spreadsheet()
    drafts, joins = make_nodes(spreadsheet)
    await api.publish("canary", {"name": "Canary", "nodes": drafts, "connections": joins})
    person = await people.make()
    run = await api.wait_for_run(await api.start_run("canary", person.id), seconds=60)
    assert run["status"] == "succeeded", run
    (message,) = await whatsapp.messages(to=person.wa_id)
    answers.append(run)
    # Providers that fail, and say in their errors what they were sent.
    other = await people.make()
    await inbox.fail_next("mail", 535, f"5.7.8 wrong: {CANARY}", times=9)
    error = {"code": 190, "message": f"bad token {CANARY}"}
    await whatsapp.add_rules({"match": {"to": other.phone}, "action": {"error": error}})
    for name, node in zip(("m", "c"), drafts, strict=False):
        await api.publish(f"canary-{name}", {"name": "Canary", "nodes": [node]})
        run_id = await api.start_run(f"canary-{name}", other.id)
        answers.append(await api.wait_for_run(run_id, seconds=60))
    await inbox.clear_rules()
    topics, count = await find_in_topics(stack, texts)
    assert count > 10
    assert not topics
    assert not await find_in_tables(stack, texts)
    assert not find_in_logs(stack, texts)
    assert not in_any(texts, answers)
    run_id = str(run["runId"])
    otlp.wait_for(lambda spans: len([each for each in spans if run_id in str(each)]) > 5)
    assert not in_any(texts, b"".join(otlp.bodies))
    # That they are looked for in the right way: what is no secret is found.
    assert await find_in_tables(stack, ["canary@acme.example"])
    assert (await find_in_topics(stack, ["c-chat"]))[0]
    assert message
