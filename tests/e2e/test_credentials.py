"""Accounts of the workspace's own: used, tried, replaced and deleted while everything runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mirsal_testing.rest import RestClient
    from mirsal_testing.simulators.smtp.client import InboxClient
    from mirsal_testing.stack import Stack

    from tests.e2e.conftest import People

pytestmark = pytest.mark.e2e

PATIENCE_SECONDS = 30


def smtp_account(stack: Stack, sender: str, login: str = "s3cr3t-p4ssw0rd") -> dict[str, Any]:
    return {
        "account": {
            "type": "smtp",
            "host": "127.0.0.1",
            "port": int(stack.environment["MIRSAL_SMTP_PORT"]),
            "tls": "none",
            "username": "mirsal",
            "password": login,
            "from": sender,
        }
    }


def mail_by(credential_id: str) -> dict[str, Any]:
    config = {"subject": "أهلاً", "body": "أهلاً", "credentialId": credential_id}
    return {"name": "One mail", "nodes": [{"id": "only", "type": "email", "config": config}]}


async def test_a_mail_goes_out_by_the_account_that_its_node_names(
    api: RestClient, stack: Stack, inbox: InboxClient, people: People
) -> None:
    person = await people.make()
    path = "/credential/support"
    await api.call("PUT", path, json=smtp_account(stack, "support@acme.example"))
    checked = await api.call("POST", f"{path}/check", params={"wait": "20s"})
    assert checked["works"], checked
    assert checked["output"]["sender"] == "support@acme.example"
    await api.publish("by-account", mail_by("support"))

    run = await api.wait_for_run(await api.start_run("by-account", person.id))
    assert run["status"] == "succeeded", run
    await api.call("PUT", path, json=smtp_account(stack, "new@acme.example"))
    await api.call("DELETE", path)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while run["status"] == "succeeded":  # It was seen a moment ago.
            run_id = await api.start_run("by-account", person.id)
            run = await api.wait_for_run(run_id)
    assert run["status"] == "paused", run
    assert run["executions"][0]["error"]["code"] == "credential_missing"
    await api.call("PUT", path, json=smtp_account(stack, "new@acme.example"))
    execution_id = run["executions"][0]["executionId"]
    await api.call("POST", f"/execution/{execution_id}/decision", json={"verdict": "resend"})
    run = await api.wait_for_run(run_id, among=frozenset({"succeeded"}))
    senders = [mail.envelope_from for mail in await inbox.messages(to=person.email)]
    assert (senders[0], senders[-1]) == ("support@acme.example", "new@acme.example")


async def test_a_check_says_why_an_account_does_not_work(
    api: RestClient, stack: Stack, inbox: InboxClient
) -> None:
    draft = smtp_account(stack, "support@acme.example", "wr0ng-p4ssw0rd")
    await api.call("PUT", "/credential/wrong", json=draft)
    await inbox.fail_next("auth", 535, "5.7.8 wr0ng-p4ssw0rd is not it", times=9)
    checked = await api.call("POST", "/credential/wrong/check", params={"wait": "20s"})
    assert checked["works"] is False
    assert checked["error"]["code"] == "smtp_login_refused"
    assert "wr0ng" not in str(checked)
    await inbox.clear_rules()
    draft["account"]["from"] = "not an address"
    await api.call("PUT", "/credential/wrong", json=draft)
    checked = await api.call("POST", "/credential/wrong/check", params={"wait": "20s"})
    assert checked["error"]["code"] == "credential_refused", "what was seen before does not count"
