"""What the platform says became of a workflow's runs, and what its simulators saw of them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg
from mirsal_runtime.queries import load_queries

from mirsal_testing.demo.arrivals import execution_of
from mirsal_testing.simulators.smtp.client import InboxClient
from mirsal_testing.simulators.whatsapp.client import WhatsAppSimulatorClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from mirsal_testing.stack import Stack

SQL = load_queries("mirsal_testing.storm")
POLL_SECONDS = 0.2

Row = dict[str, Any]


class Findings(NamedTuple):
    """Run statuses by run id, executions in order, and messages that arrived by execution id.

    `traces` are the runs' trace ids. `calls` are all calls of WhatsApp, refused ones too, by
    execution id: each with its command's id and the trace context that it came with.
    """

    runs: Mapping[str, str]
    executions: Sequence[Row]
    messages: Mapping[str, int]
    traces: Mapping[str, str]
    calls: Mapping[str, Sequence[tuple[str, str]]]


class Records:
    """Reads a workflow's records from the database and the simulators."""

    def __init__(self, stack: Stack, workflow: str, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._environment = stack.environment
        self._workflow = workflow
        self._pool = pool

    async def count_ended(self) -> int:
        """How many runs are finished or at rest."""
        return int(await self._pool.fetchval(SQL["count_ended"], self._workflow))

    async def wait_ended(self, runs: int, deadline: float) -> float:
        """When that many runs had ended, or the deadline if they had not; wall clock, seconds."""
        while True:
            ended, now = await self.count_ended(), time.time()
            if ended >= runs or now >= deadline:
                return now
            await asyncio.sleep(POLL_SECONDS)

    async def read(self) -> Findings:
        """All of it."""
        runs = await self._pool.fetch(SQL["read_runs"], self._workflow)
        executions = await self._pool.fetch(SQL["read_executions"], self._workflow)
        return Findings(
            runs={row["run_id"]: row["status"] for row in runs},
            executions=[dict(row) for row in executions],
            messages=await self._count_messages(),
            traces={row["run_id"]: row["trace_id"] for row in runs},
            calls=await self._read_calls(),
        )

    async def _count_messages(self) -> Mapping[str, int]:
        async with InboxClient(self._environment["MIRSAL_INBOX_URL"]) as inbox:
            mails = [mail["messageId"] for mail in await inbox.arrivals()]
        url = self._environment["MIRSAL_WHATSAPP_SIMULATOR_URL"]
        async with WhatsAppSimulatorClient(url) as whatsapp:
            chats = [arrival.callback_data for arrival in await whatsapp.arrivals()]
        return Counter(map(execution_of, [*mails, *chats]))

    async def _read_calls(self) -> Mapping[str, Sequence[tuple[str, str]]]:
        calls: dict[str, list[tuple[str, str]]] = defaultdict(list)
        url = self._environment["MIRSAL_WHATSAPP_SIMULATOR_URL"]
        async with WhatsAppSimulatorClient(url) as whatsapp:
            for call in await whatsapp.calls(fields=("callbackData", "headers")):
                command_id, traceparent = call["callbackData"], call["headers"].get("traceparent")
                if command_id and traceparent:
                    calls[execution_of(command_id)].append((command_id, traceparent))
        return calls


@asynccontextmanager
async def open_records(stack: Stack, workflow: str) -> AsyncIterator[Records]:
    """Records of one workflow of a running stack."""
    url = stack.environment["DATABASE_URL"]
    async with asyncpg.create_pool(url, min_size=0, max_size=1) as pool:
        yield Records(stack, workflow, pool)
