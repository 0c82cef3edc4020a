"""A workspace with a daily cap: what its runs and its direct calls send, and what rests."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from mirsal_testing.rest import RESTING, RestClient

from tests.e2e.conftest import PEPPER, People
from tests.e2e.test_providers import one_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mirsal_testing.simulators.smtp.client import InboxClient
    from mirsal_testing.simulators.whatsapp.client import WhatsAppSimulatorClient
    from mirsal_testing.stack import Stack

pytestmark = pytest.mark.e2e

STARTS = 50
CAP = 10
KEY_SECONDS = 30.0
UNUSED = "what makes a key does not use it"
POLL_SECONDS = 0.1
WAIT_SECONDS = 60.0


def make_key(stack: Stack) -> str:
    """A key of the workspace that the stack has a cap for."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "keys", "create", "--workspace", "capped",
         "--name", "tests"],
        env={**os.environ, "MIRSAL_ID_SECRET": UNUSED, **stack.environment, **PEPPER},
        capture_output=True, text=True, timeout=KEY_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest_asyncio.fixture
async def capped(stack: Stack) -> AsyncIterator[RestClient]:
    async with RestClient(stack.url, await asyncio.to_thread(make_key, stack)) as client:
        yield client


async def until_all_were_tried(api: RestClient, workflow_id: str) -> list[dict[str, Any]]:
    """The executions, once each has ended or waits for its time."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            logs = await api.read_logs(workflow_id)
            if len(logs) == STARTS and all(
                log["status"] == "succeeded" or log["error"] is not None for log in logs
            ):
                return logs
            await asyncio.sleep(POLL_SECONDS)


async def test_fifty_parallel_starts_send_what_the_day_has(
    capped: RestClient, whatsapp: WhatsAppSimulatorClient
) -> None:
    person = await People(capped).make()
    await capped.publish("full", one_node("whatsapp", {"text": "أهلاً"}))
    starts = (capped.start_run("full", person.id) for _ in range(STARTS))
    run_ids = await asyncio.gather(*starts)
    logs = await until_all_were_tried(capped, "full")
    assert sum(log["status"] == "succeeded" for log in logs) == CAP
    resting = [log for log in logs if log["status"] != "succeeded"]
    assert {log["error"]["code"] for log in resting} == {"daily_cap_reached"}
    assert len(await whatsapp.messages(to=person.wa_id)) == CAP
    for run_id in run_ids:
        if (await capped.read_run(run_id))["status"] not in RESTING:
            await capped.call("POST", f"/run/{run_id}/cancel")


async def test_a_direct_call_has_no_more_either(capped: RestClient, inbox: InboxClient) -> None:
    person = await People(capped).make()
    hidden = [f"hidden-{number}@example.com" for number in range(CAP)]
    mail = {"subject": "أهلاً", "body": "أهلاً", "bcc": hidden}
    await capped.publish("direct", one_node("email", mail))
    body = {"leadId": person.id, "workflowId": "direct", "nodeId": "direct", "config": mail}
    started = await capped.call("POST", "/email/send", json=body)
    run = await capped.wait_for_run(started["runId"])
    assert run["status"] == "failed"
    assert run["executions"][0]["error"]["code"] == "daily_cap_too_small"
    assert not await inbox.messages(to=hidden[0])
