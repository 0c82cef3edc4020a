"""Mirsal as a target: its stack on the benchmark's servers, and when its runs ended."""

from __future__ import annotations

import csv
import io
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Literal, Self

import asyncpg
from mirsal_runtime.queries import load_queries

from mirsal_testing.bench.load import LEAD_PLACE, name_lead
from mirsal_testing.bench.raw.wire import STEPS
from mirsal_testing.bench.target import read_message_ends
from mirsal_testing.bench.verdict import (
    BURST,
    LIMITED,
    LIMITED_RATE,
    NOOP,
    TRACED,
    WHATSAPP,
)
from mirsal_testing.rest import RestClient
from mirsal_testing.simulators.whatsapp.client import WhatsAppSimulatorClient
from mirsal_testing.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mirsal_testing.servers import Servers

Connector = Literal["whatsapp", "noop"]

SQL = load_queries("mirsal_testing.bench")
SERVICES = ("gateway", "orchestrator", "whatsapp-worker", "noop-worker")
BESIDE = ("whatsapp-simulator", "supervisor")
NAMES: Mapping[Connector, str] = {"whatsapp": WHATSAPP, "noop": NOOP}
LEADS = 500
TEXT = "مرحباً {{lead.name}}، شكراً لاهتمامك بنا في {{lead.fields.city}}"


class Product:
    """A `Target`: the whole platform with one connector, which both nodes of a run use.

    An async context manager; inside it the stack is up. `environment` is laid over the settings
    that the benchmark itself needs; with a `collector`, an OTLP endpoint, all is traced;
    `limited`: each call is counted against a limit, which lets all through.
    """

    leads = LEADS

    def __init__(
        self,
        servers: Servers,
        database: str,
        folder: Path,
        *,
        connector: Connector,
        environment: Mapping[str, str],
        collector: str = "",
        limited: bool = False,
    ) -> None:
        variant = TRACED if collector else LIMITED if limited else ""
        self.name = NAMES[connector] + variant
        self.only_scenario = {TRACED: BURST, LIMITED: LIMITED_RATE}.get(variant, "")
        self.body = f'{{"leadId": "{LEAD_PLACE.decode()}"}}'
        self._connector = connector
        self._workflow = f"bench-{connector}"
        self._servers = servers
        self._database = database
        self._stack = Stack(
            folder / f"stack-{connector}{variant.replace(', ', '-')}",
            environment={
                **servers.urls(),
                "DATABASE_URL": database,
                "MIRSAL_RATE_LIMIT_PER_MINUTE": "1000000" if limited else "0",
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
                "MIRSAL_EMAIL_WORKERS": "0",
                "MIRSAL_CODE_RUNNERS": "0",
                "MIRSAL_SHEETS_WORKERS": "0",
                "MIRSAL_WHATSAPP_WORKERS": "1" if connector == "whatsapp" else "0",
                "MIRSAL_NOOP_WORKERS": "1" if connector == "noop" else "0",
                **environment,
            },
        )
        self._open = AsyncExitStack()
        self._marked_at = 0.0
        self._marked_messages = 0

    @property
    def url(self) -> str:
        return f"{self._stack.url}/api/automation/workflow/{self._workflow}/run"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"x-api-key": self._stack.api_key}

    async def __aenter__(self) -> Self:
        try:
            await self._start_all()
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    def pids(self, part: str) -> dict[int, int]:
        """The processes of one part of the stack."""
        return self._stack.pids(part)

    def platform(self) -> Mapping[str, int]:
        servers = {server.name: server.pid for server in self._servers.all}
        return {
            **self._pids_of(SERVICES),
            **{name: pid for name, pid in servers.items() if pid is not None},
        }

    def beside(self) -> Mapping[str, int]:
        return self._pids_of(BESIDE)

    async def mark(self) -> None:
        self._marked_at = time.time()
        self._marked_messages = await self._count_messages()

    async def count_ended(self) -> int:
        if self._connector == "whatsapp":
            return (await self._count_messages() - self._marked_messages) // STEPS
        count = await self._pool.fetchval(SQL["count_ended"], self._workflow, self._marked_at)
        return int(count)

    async def read_ends(self) -> Mapping[str, float]:
        if self._connector == "whatsapp":
            messages = await self._whatsapp.messages(since=self._marked_messages)
            return read_message_ends(
                [(each.arrived_at.timestamp(), each.text) for each in messages]
            )
        rows = await self._pool.fetch(SQL["read_ended"], self._workflow, self._marked_at)
        return {row["run_id"]: row["ended_at"] for row in rows}

    async def _start_all(self) -> None:
        await self._open.enter_async_context(self._stack)
        self._pool = await self._open.enter_async_context(
            asyncpg.create_pool(self._database, min_size=0, max_size=1)
        )
        self._whatsapp = await self._open.enter_async_context(
            WhatsAppSimulatorClient(self._stack.environment["MIRSAL_WHATSAPP_SIMULATOR_URL"])
        )
        async with RestClient(self._stack.url, self._stack.api_key) as api:
            await api.import_leads(write_leads(LEADS), LEADS)
            await api.publish(self._workflow, make_workflow(self._connector))

    async def _count_messages(self) -> int:
        return int((await self._whatsapp.summary())["messages"])

    def _pids_of(self, parts: tuple[str, ...]) -> dict[str, int]:
        found = {}
        for part in parts:
            pids = self._stack.pids(part)
            for index, pid in pids.items():
                found[part if len(pids) == 1 else f"{part}-{index}"] = pid
        return found


def make_workflow(connector: Connector) -> dict[str, object]:
    """Two nodes in sequence, whose rendered texts begin with the step and the run's id."""
    member = "text" if connector == "whatsapp" else "value"
    nodes = [
        {"id": node, "type": connector, "config": {member: f"{step} {{{{run.id}}}} {TEXT}"}}
        for step, node in enumerate(("first", "second"), start=1)
    ]
    return {
        "name": f"Benchmark with {connector}",
        "nodes": nodes,
        "connections": [{"from": "first", "to": "second"}],
    }


def write_leads(count: int) -> bytes:
    """A CSV of leads, each with a mobile number of its own."""
    file = io.StringIO()
    table = csv.writer(file)
    table.writerow(("leadId", "name", "email", "phone", "locale", "timeZone", "city"))
    for number in range(1, count + 1):
        lead = name_lead(number)
        phone = f"+2010{10_000_000 + number}"
        place = ("ar-EG", "Africa/Cairo", "القاهرة")
        table.writerow((lead, "أحمد محمد", f"{lead}@example.com", phone, *place))
    return file.getvalue().encode()
