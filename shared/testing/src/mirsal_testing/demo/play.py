"""The demo from its first call to its verdict, on a stack that is up."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from mirsal_testing.demo.arrivals import Judge
from mirsal_testing.demo.story import DemoError
from mirsal_testing.demo.verdict import NODES, Verdict, is_over, judge
from mirsal_testing.rest import RESTING, RestClient, as_timestamp
from mirsal_testing.simulators.sheets.client import SheetsSimulatorClient
from mirsal_testing.simulators.smtp.client import InboxClient
from mirsal_testing.simulators.whatsapp.client import WhatsAppSimulatorClient

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    from mirsal_testing.demo.screen import Screen
    from mirsal_testing.demo.story import DemoLead, DemoWorkflow, Story

SHOW_SECONDS = 0.5
PATIENCE_SECONDS = 90.0
# A second message that must not come would come soon after the first.
SETTLE_SECONDS = 1.0


async def play(environment: Mapping[str, str], story: Story, screen: Screen) -> tuple[Verdict, str]:
    """Send all leads through the workflow; the verdict, and one run's id to look at.

    `environment` is that of `.mirsal/env`. Raises `DemoError` where the demo cannot go on.
    """
    inbox_url, whatsapp_url, sheets_url = _simulators(environment)
    leads, workflow = story.leads, story.workflow
    async with (
        RestClient(environment["MIRSAL_URL"], environment["MIRSAL_API_KEY"]) as api,
        InboxClient(inbox_url) as inbox,
        WhatsAppSimulatorClient(whatsapp_url) as whatsapp,
        SheetsSimulatorClient(sheets_url) as sheets,
    ):
        await api.import_leads(story.csv, len(leads))
        screen.say(f"{len(leads)} leads are in")
        version = await api.publish(workflow.id, workflow.definition)
        screen.say(f"workflow {workflow.id} is published as version {version}")
        judge_of_arrivals = Judge(inbox, whatsapp, sheets, workflow)
        await judge_of_arrivals.begin()
        started = time.time()
        runs = await _start(api, workflow, leads)
        screen.say(f"{len(runs)} runs are requested, {time.time() - started:.2f} s")
        logs = await _follow(api, workflow, judge_of_arrivals, runs, started, screen)
        await asyncio.sleep(SETTLE_SECONDS)
        arrived = await judge_of_arrivals.read()
        return judge(workflow, runs, logs, arrived, started), next(iter(runs))


def _simulators(environment: Mapping[str, str]) -> tuple[str, str, str]:
    try:
        return (
            environment["MIRSAL_INBOX_URL"],
            environment["MIRSAL_WHATSAPP_SIMULATOR_URL"],
            environment["MIRSAL_SHEETS_SIMULATOR_URL"],
        )
    except KeyError as missing:
        raise DemoError(
            f"the stack has no {missing}: it sends through a real provider, and the demo writes "
            "to made-up people. Start it without MIRSAL_SMTP_HOST, MIRSAL_WHATSAPP_BASE_URL and "
            "MIRSAL_SHEETS_BASE_URL."
        ) from None


async def _start(
    api: RestClient, workflow: DemoWorkflow, leads: Sequence[DemoLead]
) -> dict[str, DemoLead]:
    """The leads by the id of their run."""
    run_ids = await api.start_runs(workflow.id, [lead.id for lead in leads], key=f"demo-{uuid4()}")
    if len(set(run_ids)) != len(leads):
        raise DemoError(f"{len(leads)} leads got {len(set(run_ids))} runs")
    return dict(zip(run_ids, leads, strict=True))


async def _follow(
    api: RestClient,
    workflow: DemoWorkflow,
    arrivals: Judge,
    runs: Collection[str],
    started: float,
    screen: Screen,
) -> list[dict[str, Any]]:
    """Show what arrives until the last run has ended, as live events tell; the executions then."""
    with screen.follow("messages and rows arrived", NODES * len(runs)) as show:
        shown_at = 0.0
        waiting = set(runs)
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS), aclosing(api.follow_runs()) as events:
                async for run in events:
                    if run.get("status") in RESTING:
                        waiting.discard(run["runId"])
                    if not waiting:
                        break
                    if not run:
                        logs = await api.read_logs(workflow.id, createdAfter=as_timestamp(started))
                        if is_over(logs, len(runs)):
                            break
                    if time.monotonic() - shown_at > SHOW_SECONDS:
                        shown_at = time.monotonic()
                        show(await arrivals.count())
        show(await arrivals.count())
        return await api.read_logs(workflow.id, createdAfter=as_timestamp(started))
