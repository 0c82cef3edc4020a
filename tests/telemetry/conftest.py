"""One stack whose processes send their spans here, and the runs that its tests look at."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from mirsal_testing.otlp import OtlpReceiver
from mirsal_testing.rest import RestClient
from mirsal_testing.simulators.sheets import SheetsSimulatorClient
from mirsal_testing.simulators.whatsapp.client import WhatsAppSimulatorClient
from mirsal_testing.stack import Stack
from mirsal_testing.storm.poison import poison_of, send_poison

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from mirsal_testing.otlp import Seen

PHONE = "+201098765432"
EMAIL = "canary-person@example.com"
BAGGAGE = "tenant=canary-baggage"
NOT_SAMPLED = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
JOB_SECONDS = 20.0
CODE = "def main(input):\n    return 1"


@dataclass
class Observed:
    """The stack, all spans of it, and the runs by what happened to them.

    `others` are runs whose trace is not as the rest's.
    """

    stack: Stack
    otlp: OtlpReceiver
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    others: dict[str, dict[str, Any]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def otlp() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def stack(mirsal_server_folder: Path, otlp: OtlpReceiver) -> Iterator[Stack]:
    settings = {
        "MIRSAL_RATE_LIMIT_PER_MINUTE": "0",
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url,
        "MIRSAL_GATEWAYS": "1",
        "MIRSAL_ORCHESTRATORS": "1",
        "MIRSAL_EMAIL_WORKERS": "1",
        "MIRSAL_WHATSAPP_WORKERS": "1",
        "MIRSAL_SHEETS_WORKERS": "1",
        "MIRSAL_CODE_RUNNERS": "1",
    }
    with Stack(mirsal_server_folder / "telemetry", environment=settings) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def observed(stack: Stack, otlp: OtlpReceiver) -> AsyncIterator[Observed]:
    """All kinds of runs, one after the other, and their spans."""
    found = Observed(stack, otlp)
    environment = stack.environment
    async with (
        RestClient(stack.url, stack.api_key) as api,
        WhatsAppSimulatorClient(environment["MIRSAL_WHATSAPP_SIMULATOR_URL"]) as whatsapp,
        SheetsSimulatorClient(environment["MIRSAL_SHEETS_SIMULATOR_URL"]) as sheets,
    ):
        await Scenario(found, api, whatsapp, sheets).play()
    await asyncio.sleep(2)
    yield found


class Scenario:
    """What happens on the stack before the tests look."""

    def __init__(
        self,
        found: Observed,
        api: RestClient,
        whatsapp: WhatsAppSimulatorClient,
        sheets: SheetsSimulatorClient,
    ) -> None:
        self._found = found
        self._api = api
        self._whatsapp = whatsapp
        self._sheets = sheets

    async def play(self) -> None:
        """All of it."""
        for lead in ("canary-lead", "other-lead"):
            await self._api.put_lead(lead, name="Canary Name", email=EMAIL, phone=PHONE)
        await self._journey()
        await self._retried()
        await self._retried_by_a_person_after_a_kill()
        await self._parked_and_overflowed()
        await self._many()
        await self._by_jobs()
        await self._asked_twice()
        await self._failed_though_not_sampled()

    async def _run(self, name: str, *nodes: dict[str, Any], **headers: str) -> str:
        connections = [
            {"from": one["id"], "to": other["id"]} for one, other in itertools.pairwise(nodes)
        ]
        await self._api.publish(
            name, {"name": name, "nodes": list(nodes), "connections": connections}
        )
        answer = await self._api.http.post(
            f"/workflow/{name}/run",
            json={"leadId": "canary-lead"},
            headers={"baggage": BAGGAGE, **headers},
        )
        return str(answer.json()["runId"])

    async def _journey(self) -> None:
        spreadsheet = await self._sheets.add_spreadsheet()
        run_id = await self._run(
            "journey",
            {"id": "mail", "type": "email", "config": {"subject": "s", "body": "b"}},
            chat_node(),
            {"id": "code", "type": "code", "config": {"language": "python", "code": CODE}},
            row_node(spreadsheet),
        )
        self._found.runs["journey"] = await self._api.wait_for_run(run_id)

    async def _retried(self) -> None:
        await self._whatsapp.fail_next(131000, times=1)
        run_id = await self._run("retried", chat_node(attempts=2, backoffSeconds=0.2))
        self._found.runs["retried"] = await self._api.wait_for_run(run_id)

    async def _retried_by_a_person_after_a_kill(self) -> None:
        await self._whatsapp.fail_next(131000, times=1)
        run_id = await self._run("failed", chat_node(attempts=1))
        await self._api.wait_for_run(run_id, among=frozenset({"failed"}))
        await self._wait_read(datetime.now(UTC))
        self._found.stack.kill("orchestrator")
        await self._found.stack.wait_ready()
        await self._api.call("POST", f"/run/{run_id}/retry")
        self._found.runs["failed"] = await self._api.wait_for_run(
            run_id, among=frozenset({"succeeded"})
        )

    async def _wait_read(self, since: datetime) -> None:
        """Until Kafka knows that the orchestrator is done with all: its successor will read none
        of it again, and knows no run and no graph."""
        async with asyncio.timeout(20):
            while True:
                seen = await self._api.call("GET", "/queue/status")
                lags = [each["lag"] for each in seen["topics"] if each["group"] == "orchestrator"]
                if datetime.fromisoformat(seen["observedAt"]) > since and not any(lags):
                    return
                await asyncio.sleep(0.2)

    async def _parked_and_overflowed(self) -> None:
        for name, config in (("parked", {}), ("overflowed", {"onUnavailable": "fallback"})):
            spreadsheet = await self._sheets.add_spreadsheet()
            await self._sheets.set_access(spreadsheet, "none")
            run_id = await self._run(name, row_node(spreadsheet, **config))
            self._found.runs[name] = await self._api.wait_for_run(run_id)

    async def _many(self) -> None:
        """Two runs of one call, whose rows are written by one request."""
        spreadsheet = await self._sheets.add_spreadsheet()
        await self._api.publish("many", {"name": "many", "nodes": [row_node(spreadsheet)]})
        with self._found.stack.held("sheets-worker"):
            runs = await self._api.start_runs("many", ["canary-lead", "other-lead"])
            for run_id in runs:
                await self._api.wait_for_run(run_id, among=frozenset({"running"}))
            await asyncio.sleep(0.5)
        for number, run_id in enumerate(runs):
            self._found.runs[f"many {number}"] = await self._api.wait_for_run(run_id)

    async def _by_jobs(self) -> None:
        """A run that a job starts, and a job that replays a letter of it."""
        await self._api.publish("bulk", {"name": "bulk", "nodes": [chat_node()]})
        job_id = await self._job("/workflow/bulk/runs", {"leadIds": ["canary-lead"]})
        (started,) = (await self._api.call("GET", f"/job/{job_id}/runs"))["items"]
        run = self._found.runs["bulk"] = await self._api.wait_for_run(started["runId"])
        asking = await asyncio.to_thread(self._asking_span, run["traceId"])
        context = f"00-{asking.trace_id}-{asking.span_id}-01"
        await send_poison(self._found.stack, poison_of(run["runId"], "bulk", "default", context))
        async with asyncio.timeout(JOB_SECONDS):
            while not (await self._api.call("GET", "/dead-letters"))["items"]:
                await asyncio.sleep(0.1)
        await self._job("/dead-letters/replay", {})

    def _asking_span(self, trace_id: str) -> Seen:
        """What asked for the attempt of this trace."""
        name, traces = "process executions.requested.v1", self._found.otlp.traces
        self._found.otlp.wait_for(lambda _: any(each.name == name for each in traces()[trace_id]))
        return next(each for each in traces()[trace_id] if each.name == name)

    async def _job(self, path: str, body: dict[str, Any]) -> str:
        """The id of a job that has ended."""
        job_id = str((await self._api.call("POST", path, json=body))["jobId"])
        async with asyncio.timeout(JOB_SECONDS):
            while (await self._api.call("GET", f"/job/{job_id}"))["endedAt"] is None:
                await asyncio.sleep(0.1)
        return job_id

    async def _asked_twice(self) -> None:
        await self._api.publish("twice", {"name": "twice", "nodes": [chat_node()]})
        for _ in range(2):
            run_id = await self._api.start_run("twice", "canary-lead", key="twice")
            self._found.others["twice"] = await self._api.wait_for_run(run_id)

    async def _failed_though_not_sampled(self) -> None:
        await self._whatsapp.fail_next(131000, times=1)
        node = chat_node(attempts=2, backoffSeconds=0.2)
        run_id = await self._run("quiet", node, traceparent=NOT_SAMPLED)
        self._found.others["quiet"] = await self._api.wait_for_run(run_id)


def chat_node(**retry: Any) -> dict[str, Any]:
    node = {"id": "chat", "type": "whatsapp", "config": {"text": "t"}}
    return {**node, "retry": retry} if retry else node


def row_node(spreadsheet: str, **config: Any) -> dict[str, Any]:
    given = {"spreadsheetId": spreadsheet, "sheet": "L", "values": {"a": "b"}, **config}
    return {"id": "row", "type": "google_sheets", "config": {"operation": "append", **given}}
