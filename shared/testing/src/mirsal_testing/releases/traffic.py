"""Load on every service at once, and the judgement of all that became of it.

Starts of two workflows, people who look at their runs, and a customer's endpoint that is told.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter, defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp

from mirsal_testing.bench.load import name_lead
from mirsal_testing.demo.arrivals import ROW_KEY
from mirsal_testing.rest import RestClient
from mirsal_testing.simulators.sheets import SheetsSimulatorClient
from mirsal_testing.storm.clients import Clients
from mirsal_testing.storm.records import open_records
from mirsal_testing.storm.scene import LEADS, NODES, prepare
from mirsal_testing.storm.verdict import judge
from mirsal_testing.webhook_receiver import Receiver, Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    from mirsal_testing.stack import Stack

MESSAGES, ROWS = "rolled-messages", "rolled-rows"
SPREADSHEET, TAB = "rolled", "Rows"
TOLD = "/told"
LOOK_SECONDS = 0.05
# So that deliveries are under way whenever somebody looks.
REPLY_SECONDS = 0.1
PYTHON = (
    "import time\ndef main(input):\n    time.sleep(0.05)\n    return {'said': input['name'] + '!'}"
)
ROWS_DEFINITION: dict[str, Any] = {
    "name": "Rows",
    "nodes": [
        {
            "id": "code",
            "type": "code",
            "config": {
                "language": "python",
                "code": PYTHON,
                "input": {"name": "{{lead.name}}"},
                # It stands still for a moment before it is told to end.
                "limits": {"seconds": 10},
            },
        },
        {
            "id": "sheet",
            "type": "google_sheets",
            "config": {
                "operation": "append",
                "spreadsheetId": SPREADSHEET,
                "sheet": TAB,
                "values": {"Run": "{{run.id}}", "Said": "{{nodes.code.output.result.said}}"},
            },
        },
    ],
    "connections": [{"from": "code", "to": "sheet"}],
}


class Traffic:
    """What is asked of a stack; `cuts` are calls that ended without an answer."""

    def __init__(self, stack: Stack, messages: Clients, rows: Clients, receiver: Receiver) -> None:
        self._stack = stack
        self._enough = asyncio.Event()
        self.messages = messages
        self.rows = rows
        self._receiver = receiver
        self.looks = 0
        self._looks_cut = 0
        self._bad_looks: list[str] = []

    @property
    def accepted(self) -> int:
        return len(self.messages.accepted) + len(self.rows.accepted)

    @property
    def unavailable(self) -> int:
        """How many starts were answered 503."""
        return self.messages.unavailable + self.rows.unavailable

    @property
    def cuts(self) -> int:
        retries = self.messages.retries + self.rows.retries
        return retries - self.unavailable + self._looks_cut

    def count_open(self, sent_before: float) -> int:
        """As `Clients.count_open`, of all starts."""
        return self.messages.count_open(sent_before) + self.rows.count_open(sent_before)

    def end(self) -> None:
        """No more is asked."""
        self._enough.set()

    async def flow(self, rate: float) -> None:
        """Until told to end: `rate` starts a second, one in eight of them for a row."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.messages.storm(rate * 7 / 8, self._enough))
            tasks.create_task(self.rows.storm(rate / 8, self._enough))
            tasks.create_task(self._look())

    async def _look(self) -> None:
        headers = {"x-api-key": self._stack.api_key}
        chance = random.Random(7)  # noqa: S311 - repeatable chance, no secret
        async with aiohttp.ClientSession(self._stack.url, headers=headers) as session:
            while not self._enough.is_set():
                await asyncio.sleep(LOOK_SECONDS)
                if not self.messages.accepted:
                    continue
                run_id = chance.choice(list(self.messages.accepted))
                try:
                    async with session.get(f"/api/automation/run/{run_id}") as answer:
                        self.looks += 1
                        if answer.status != 200:
                            self._bad_looks.append(f"GET: {answer.status} {await answer.text()}")
                except aiohttp.ClientError:
                    self._looks_cut += 1

    async def faults(self, seconds: float) -> list[str]:
        """What was lost, doubled or refused, once all has ended or after that long."""
        deadline = time.time() + seconds
        found = [*self.messages.refusals, *self.rows.refusals, *self._bad_looks]
        found += [f"{self.unavailable} starts were answered 503"] * bool(self.unavailable)
        async with open_records(self._stack, MESSAGES) as records:
            await records.wait_ended(len(self.messages.accepted), deadline)
            found += judge(self.messages.accepted, await records.read(), NODES, [])
        async with open_records(self._stack, ROWS) as records:
            await records.wait_ended(len(self.rows.accepted), deadline)
            ended = await records.read()
            arrived = ended._replace(messages=await self._count_rows())
            found += judge(self.rows.accepted, arrived, ("sheet",), [])
        found += await self._untold(self.rows.accepted, deadline)
        async with RestClient(self._stack.url, self._stack.api_key) as api:
            letters = (await api.call("GET", "/dead-letters"))["items"]
        return found + [f"a dead letter: {letter}" for letter in letters]

    async def _count_rows(self) -> Mapping[str, int]:
        url = self._stack.environment["MIRSAL_SHEETS_SIMULATOR_URL"]
        async with SheetsSimulatorClient(url) as sheets:
            records = (await sheets.tab(SPREADSHEET, TAB)).records()
        return Counter(str(record[ROW_KEY]) for record in records)

    async def _untold(self, runs: Collection[str], deadline: float) -> list[str]:
        told: dict[str, set[str]] = defaultdict(set)
        while True:
            told.clear()
            for call in self._receiver.calls_of(TOLD):
                told[json.loads(call.body)["data"]["runId"]].add(call.message_id)
            if set(runs) <= set(told) or time.time() > deadline:
                break
            await asyncio.sleep(0.2)
        # A call whose answer was lost comes again under its id; an event has one id.
        return [
            f"the endpoint was told {len(told[run])} events of run {run}"
            for run in runs
            if len(told[run]) != 1
        ]


@asynccontextmanager
async def open_traffic(stack: Stack) -> AsyncIterator[Traffic]:
    """Traffic that is ready to flow: leads, workflows and the endpoint are there."""
    async with Receiver() as receiver:
        receiver.replies[TOLD] = [Reply(seconds=REPLY_SECONDS)]
        messages = await prepare(stack, MESSAGES)
        async with RestClient(stack.url, stack.api_key) as api:
            await api.publish(ROWS, ROWS_DEFINITION)
            draft = {"url": receiver.url + TOLD, "eventTypes": ["run.succeeded"]}
            await api.call("POST", "/webhooks", json={**draft, "workflowIds": [ROWS]})
        leads = [name_lead(number) for number in range(1, LEADS + 1)]
        rows = Clients(stack.url, stack.api_key, ROWS, leads)
        yield Traffic(stack, messages, rows, receiver)
