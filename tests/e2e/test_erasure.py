"""What is personal lies nowhere in the open, and once its lead is erased nobody can read it."""

from __future__ import annotations

import asyncio
import re
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from mirsal_runtime.vault.keys import GivenKeys
from mirsal_runtime.vault.lead_keys import ERASED, FIND_KEYS, LeadKeys
from mirsal_runtime.vault.personal import KeyName, LeadKey
from pydantic import SecretStr

from tests.e2e.searching import find_in_logs, find_in_tables, find_in_topics, in_any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import httpx
    from mirsal_testing.rest import RestClient
    from mirsal_testing.simulators.smtp.client import InboxClient
    from mirsal_testing.simulators.whatsapp.client import WhatsAppSimulatorClient
    from mirsal_testing.stack import Stack

pytestmark = pytest.mark.e2e

MARK = secrets.token_hex(8)
DIGITS = f"{secrets.randbelow(10**8):08}"
EMAIL, PHONE = f"mail{MARK}@example.com", f"+2011{DIGITS}"
LEAD_ID = f"lead-{secrets.token_hex(4)}"
LEAD: dict[str, Any] = {
    "name": f"Name{MARK}",
    "email": EMAIL,
    "phone": PHONE,
    "tags": [f"tag{MARK}"],
    "fields": {"note": f"field{MARK}"},
}
INPUT = {"word": f"input{MARK}"}
TEXTS = (MARK, DIGITS)
"""Whatever is personal holds one of these."""
ONCE = {"attempts": 1}
MAIL = {"subject": "Hi {{lead.name}}", "body": "{{lead.fields.note}} {{run.input.word}}"}
NODES: list[dict[str, Any]] = [
    {"id": "mail", "type": "email", "config": MAIL, "retry": ONCE},
    {"id": "chat", "type": "whatsapp", "config": {"text": "Hi {{lead.name}}"}, "retry": ONCE},
    {"id": "calm", "type": "noop", "config": {"value": "{{nodes.chat.output | json}}"}},
]
CALM = {"id": "calm", "type": "noop", "config": {"value": "{{run.input.word}}"}}
OTHERS = [f"{LEAD_ID}-{number}" for number in range(10, 24)]
"""Who have the same addresses, and stay."""
STARTS = "SELECT request FROM gateway.jobs WHERE kind = 'runs_start' AND $1::text IS NOT NULL"
PARTS = "SELECT number FROM gateway.job_parts WHERE $1::text IS NOT NULL"
ADDRESSES = ({"email": EMAIL}, {"phone": PHONE})
JOINS = [{"from": "mail", "to": "chat"}, {"from": "chat", "to": "calm"}]


async def look_everywhere(stack: Stack, texts: Sequence[str]) -> list[str]:
    """Where any of the texts lies in the open."""
    topics, count = await find_in_topics(stack, texts)
    assert count > 10
    return [*topics, *await find_in_tables(stack, texts), *find_in_logs(stack, texts)]


async def find_keys(stack: Stack, *key_ids: str) -> list[object]:
    """What a process with all rights makes of these keys."""
    sql = await asyncpg.connect(stack.environment["DATABASE_URL"])

    async def find_rows(ids: list[str]) -> list[asyncpg.Record]:
        return await sql.fetch(FIND_KEYS, ids)

    keeper = GivenKeys(SecretStr(""), stack.folder.vault_keys)
    try:
        found = await LeadKeys(find_rows, keeper).find(
            {KeyName("default", each) for each in key_ids}
        )
        return list(found.values())
    finally:
        await sql.close()


async def read_column(stack: Stack, statement: str) -> list[str]:
    sql = await asyncpg.connect(stack.environment["DATABASE_URL"])
    try:
        return [str(row[0]) for row in await sql.fetch(statement, LEAD_ID)]
    finally:
        await sql.close()


async def run_everything(
    api: RestClient, inbox: InboxClient, whatsapp: WhatsAppSimulatorClient
) -> tuple[list[dict[str, Any]], str]:
    """Runs of the lead that succeeded or failed, and the id of one that rests."""
    await api.put_lead(LEAD_ID, **LEAD)
    await api.publish("erasure", {"name": "E", "nodes": NODES, "connections": JOINS})
    await api.publish("erasure-mail", {"name": "E", "nodes": NODES[:1]})
    await api.publish("erasure-chat", {"name": "E", "nodes": NODES[1:2]})
    done = [
        await api.wait_for_run(await api.start_run("erasure", LEAD_ID, run_input=INPUT), seconds=60)
    ]
    assert done[0]["status"] == "succeeded", done
    direct = {
        "leadId": LEAD_ID, "workflowId": "erasure", "nodeId": "one",
        "config": {"to": EMAIL, "subject": f"direct{MARK}", "body": "b"},
    }  # fmt: skip
    sent = await api.call("POST", "/email/send", json=direct)
    done.append(await api.wait_for_run(sent["runId"], seconds=60))
    assert done[1]["status"] == "succeeded", done
    await inbox.fail_next("mail", 550, f"5.1.1 nobody is {EMAIL}", times=9)
    refused = await api.start_run("erasure-mail", LEAD_ID, run_input=INPUT)
    done.append(await api.wait_for_run(refused, seconds=60))
    assert done[2]["status"] == "failed", done
    await inbox.clear_rules()
    error = {"code": 190, "message": f"no token for {PHONE}"}
    await whatsapp.add_rules({"match": {"to": PHONE}, "action": {"error": error}})
    rests = await api.start_run("erasure-chat", LEAD_ID)
    assert (await api.wait_for_run(rests, seconds=60))["status"] == "paused"
    await whatsapp.clear_rules()
    return done, rests


@asynccontextmanager
async def import_under_way(
    api: RestClient, stack: Stack
) -> AsyncIterator[asyncio.Task[httpx.Response]]:
    """An import with the lead, of which a part is stored and waits; it ends when this is left."""
    go_on = asyncio.Event()
    cells = f"{LEAD['name']},{EMAIL},{PHONE}"
    others = "".join(f"{each},{cells},{MARK * 2_000}\n" for each in OTHERS)

    async def body() -> AsyncIterator[bytes]:
        yield f"leadId,name,email,phone,note\n{LEAD_ID},{cells},x\n{others}".encode()
        while not go_on.is_set():
            # Whoever sends nothing for a while is let go.
            await asyncio.sleep(0.5)
            yield b"\n"

    csv = {"content-type": "text/csv"}
    task = asyncio.create_task(api.http.post("/leads/import", content=body(), headers=csv))
    async with asyncio.timeout(30):
        while not await read_column(stack, PARTS):
            await asyncio.sleep(0.1)
    yield task
    go_on.set()
    await task


async def wait_for_job(api: RestClient, job_id: str) -> dict[str, Any]:
    """The job, once it has ended."""
    async with asyncio.timeout(60):
        while True:
            job = await api.call("GET", f"/job/{job_id}")
            if job["endedAt"] is not None:
                return job
            await asyncio.sleep(0.1)


async def start_as_job(api: RestClient, stack: Stack) -> None:
    """A run of the lead with something personal in its input, started in bulk."""
    await api.publish("erasure-calm", {"name": "E", "nodes": [CALM]})
    wanted = {"leadIds": [LEAD_ID], "input": INPUT}
    job = await api.call("POST", "/workflow/erasure-calm/runs", json=wanted)
    assert (await wait_for_job(api, job["jobId"]))["created"] == 1
    assert not in_any(["input", "sealed"], await read_column(stack, STARTS))
    (run,) = (await api.call("GET", f"/job/{job['jobId']}/runs"))["items"]
    assert (await api.wait_for_run(run["runId"]))["status"] == "succeeded"


async def find_lead(api: RestClient) -> list[list[str]]:
    """The ids that searches for the lead's addresses give."""
    found = [await api.call("GET", "/leads", params=each) for each in ADDRESSES]
    return [[lead["leadId"] for lead in page["items"]] for page in found]


async def test_an_erased_lead_is_nowhere(
    api: RestClient, stack: Stack, inbox: InboxClient, whatsapp: WhatsAppSimulatorClient
) -> None:
    done, rests = await run_everything(api, inbox, whatsapp)
    await start_as_job(api, stack)
    # Those who may read it do: the connector's answers are opened for them.
    shown = [*done, await api.call("GET", f"/run/{rests}")]
    assert in_any([EMAIL], shown[2]["error"]), shown[2]
    assert in_any([EMAIL], [each["error"] for each in shown[2]["executions"]])
    assert (await api.call("GET", f"/lead/{LEAD_ID}"))["email"] == EMAIL
    assert await whatsapp.messages(to=PHONE.removeprefix("+"))
    assert await find_lead(api) == [[LEAD_ID]] * 2
    # Nobody else does.
    async with import_under_way(api, stack) as imported:
        assert not await look_everywhere(stack, TEXTS)
        key_id = await erase(api, stack, shown, rests)
    job = await wait_for_job(api, imported.result().json()["jobId"])
    assert (job["created"], job["failed"]) == (len(OTHERS), 1), job
    assert await find_lead(api) == [OTHERS] * 2
    assert not await look_everywhere(stack, TEXTS)
    await start_over(api, stack, key_id)


async def erase(api: RestClient, stack: Stack, shown: Sequence[dict[str, Any]], rests: str) -> str:
    """Have the lead erased, and see that nobody can read anything of it; the id of its key."""
    assert await find_in_tables(stack, [LEAD_ID])
    (key_id,) = await read_column(stack, "SELECT id FROM gateway.lead_keys WHERE lead_id = $1")
    topics, _ = await find_in_topics(stack, [key_id])
    assert len(topics) >= 5, topics
    assert isinstance((await find_keys(stack, key_id))[0], LeadKey)

    erased = await api.call("DELETE", f"/lead/{LEAD_ID}")
    assert erased == {"leadId": LEAD_ID, "wasThere": True, "runs": 5}
    ended = await api.wait_for_run(rests, among=frozenset({"failed"}))
    assert (ended["status"], ended["error"]["code"]) == ("failed", "lead_erased")
    assert (await api.http.get(f"/lead/{LEAD_ID}")).status_code == 404
    assert await find_keys(stack, key_id) == [ERASED]
    assert not await look_everywhere(stack, TEXTS)
    # Outcomes that the connectors remember stay sealed, with a key that is no more.
    left = await find_in_tables(stack, [key_id])
    assert all(each.endswith(".ledger") for each in left), left
    after = [await api.call("GET", f"/run/{run['runId']}") for run in shown]
    assert not in_any(TEXTS, after)
    assert [run["status"] for run in after] == ["succeeded", "succeeded", "failed", "failed"]
    again = await api.call("DELETE", f"/lead/{LEAD_ID}")
    assert again == {**erased, "wasThere": False}
    return key_id


async def start_over(api: RestClient, stack: Stack, key_id: str) -> None:
    """The same id again is another person: another key, and what was sealed before stays so."""
    await api.put_lead(LEAD_ID, **LEAD)
    fresh = await api.wait_for_run(
        await api.start_run("erasure", LEAD_ID, run_input=INPUT), seconds=60
    )
    assert fresh["status"] == "succeeded", fresh
    (other,) = await read_column(stack, "SELECT id FROM gateway.lead_keys WHERE lead_id = $1")
    assert other != key_id
    assert await find_keys(stack, key_id) == [ERASED]
    requests = await read_column(stack, "SELECT request FROM orchestrator.runs WHERE lead_id = $1")
    assert sum(len(re.findall("sealed", each)) > 0 for each in requests) == 1
