"""The runs that a release is recorded at: every connector, every outcome, every wish, dead letters.

What providers do wrong is told to the simulators lead by lead.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from mirsal_contracts.commands import RunNode
from mirsal_contracts.ids import command_id_of, execution_id_of
from mirsal_contracts.message import Envelope
from mirsal_contracts.topics import COMMANDS, EXECUTIONS_REQUESTED_V1
from mirsal_runtime.broker import Publisher
from mirsal_runtime.outgoing import Outgoing
from mirsal_runtime.settings import RuntimeSettings

from mirsal_testing.rest import RestClient
from mirsal_testing.simulators.sheets import SheetsSimulatorClient
from mirsal_testing.simulators.smtp.client import InboxClient
from mirsal_testing.simulators.whatsapp.client import WhatsAppSimulatorClient

if TYPE_CHECKING:
    from mirsal_testing.stack import Stack

WORKFLOW = "golden"
WORKSPACE = "default"
RUN_SECONDS = 60.0
LETTERS_SECONDS = 30.0
RETRY = {"attempts": 2, "backoffSeconds": 0.2, "maxBackoffSeconds": 0.5}
MISHAPS: dict[str, dict[str, Any]] = {
    "passing": {"error": {"code": 131000}},
    "throttled": {"error": {"code": 130429, "status": 429, "retryAfter": 1}},
    "refused": {"error": {"code": 131026}},
    "barred": {"error": {"code": 190, "status": 401}},
    "dropped": {"drop": "after"},
    "lost": {"drop": "after"},
}
PYTHON = (
    "def main(input):\n    print(input['name'])\n    return {'greeting': 'أهلاً ' + input['name']}"
)


def _node(node_id: str, kind: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"id": node_id, "type": kind, "config": config, "retry": RETRY}


def _definition(spreadsheet: str) -> dict[str, Any]:
    """One node of every type, one after the other."""
    row = {"الاسم": "{{lead.name}}", "المدينة": "{{lead.fields.city}}", "At": "{{run.input.at}}"}
    tab = {"spreadsheetId": spreadsheet, "sheet": "Leads"}
    nodes = [
        _node("mail", "email", {"subject": "مرحباً {{lead.name}}", "body": "{{run.id}}"}),
        _node("known", "condition", {"if": "lead.fields.city != ''"}),
        _node("chat", "whatsapp", {"text": "أهلاً {{lead.name}}"}),
        _node("code", "code", {"language": "python", "code": PYTHON, "input": {"name": "سارة"}}),
        _node("sheet", "google_sheets", {**tab, "operation": "append", "values": row}),
        _node("noop", "noop", {"value": {"said": "{{nodes.code.output.result.greeting}}"}}),
    ]
    ids = [node["id"] for node in nodes]
    ways: list[dict[str, Any]] = [
        {"from": first, "to": second} for first, second in itertools.pairwise(ids)
    ]
    ways[1]["when"] = "true"
    return {"name": "Golden", "nodes": nodes, "connections": ways}


async def play(stack: Stack) -> None:
    """Have the platform write every kind of message; returns when all of it is written."""
    environment = stack.environment
    async with (
        RestClient(stack.url, stack.api_key) as api,
        WhatsAppSimulatorClient(environment["MIRSAL_WHATSAPP_SIMULATOR_URL"]) as whatsapp,
        InboxClient(environment["MIRSAL_INBOX_URL"]) as inbox,
        SheetsSimulatorClient(environment["MIRSAL_SHEETS_SIMULATOR_URL"]) as sheets,
    ):
        await api.publish(WORKFLOW, _definition(await sheets.add_spreadsheet()))
        await _make_leads(api)
        for number, action in enumerate(MISHAPS.values()):
            await whatsapp.add_rules(
                {"times": 1, "match": {"to": _phone(number)}, "action": action}
            )
        await inbox.fail_next("rcpt", 550, "5.1.1 no such user", match={"to": "mail@example.com"})
        runs = {lead: await api.start_run(WORKFLOW, lead, run_input={"at": "2026-03-05"})
                for lead in ("fine", "mail", *MISHAPS)}  # fmt: skip
        rested = {lead: await api.wait_for_run(run, seconds=RUN_SECONDS)
                  for lead, run in runs.items()}  # fmt: skip
        await _wish(api, rested)
        await _call_directly(api)
        await _poison(stack, runs["fine"])
        await _replay_all(api)
        for lead in ("fine", "refused", "dropped"):
            await api.wait_for_run(runs[lead], seconds=RUN_SECONDS)


async def _make_leads(api: RestClient) -> None:
    numbers = {name: number for number, name in enumerate(MISHAPS)}
    for lead in ("fine", "mail", *MISHAPS):
        await api.put_lead(
            lead,
            name="سارة العلي",
            email=f"{lead}@example.com",
            phone=_phone(numbers.get(lead, 90)),
            fields={"city": "القاهرة", "score": 7, "tags": ["a"]},
        )


def _phone(number: int) -> str:
    return f"+2010{70_000_000 + number}"


async def _wish(api: RestClient, rested: dict[str, dict[str, Any]]) -> None:
    """Cancel, retry, and decide each way."""
    await _post(api, f"/run/{rested['refused']['runId']}/retry")
    await _post(api, f"/run/{rested['barred']['runId']}/cancel")
    for lead, verdict in (("dropped", "sent"), ("lost", "give_up")):
        for execution in rested[lead]["executions"]:
            if execution["status"] == "unconfirmed":
                path = f"/execution/{execution['executionId']}/decision"
                await _post(api, path, {"verdict": verdict})


async def _post(api: RestClient, path: str, body: dict[str, str] | None = None) -> None:
    await api.call("POST", path, json=body, headers={"idempotency-key": str(uuid4())})


async def _call_directly(api: RestClient) -> None:
    """One connector alone, and customers' code that fails."""
    for path, config in (
        ("/email/send", {"subject": "أهلاً", "body": "{{lead.name}}"}),
        ("/whatsapp/send", {"text": "أهلاً"}),
        ("/code/execute", {"language": "python", "code": "def main(input):\n    return 1 / 0"}),
    ):
        body = {"leadId": "fine", "workflowId": WORKFLOW, "nodeId": "direct", "config": config}
        started = await api.call("POST", path, json=body)
        await api.wait_for_run(started["runId"], seconds=RUN_SECONDS)


async def _poison(stack: Stack, run_id: str) -> None:
    """What nobody can read, on each topic of commands and among the requests."""
    settings = RuntimeSettings(
        kafka_bootstrap_servers=stack.environment["KAFKA_BOOTSTRAP_SERVERS"], instance="golden"
    )
    execution_id = execution_id_of(run_id, "mail")
    headers = Envelope(
        "poison", RunNode.TYPE, "golden", run_id, WORKSPACE, execution_id=execution_id,
        command_id=command_id_of(execution_id, 1), workflow_id=WORKFLOW, node_id="mail",
    ).to_headers()  # fmt: skip
    topics = [*(topic.name for topic in COMMANDS.values()), EXECUTIONS_REQUESTED_V1.name]
    publisher = Publisher(settings)
    try:
        await publisher.send([Outgoing(topic, run_id, b"{broken", headers) for topic in topics])
    finally:
        await publisher.stop()


async def _replay_all(api: RestClient) -> None:
    wanted = len(COMMANDS) + 1
    items: list[dict[str, str]] = []
    async with asyncio.timeout(LETTERS_SECONDS):
        while len(items) < wanted:
            await asyncio.sleep(0.2)
            items = (await api.call("GET", "/dead-letters"))["items"]
    for letter in items:
        await _post(api, f"/dead-letter/{letter['letterId']}/replay")
