"""`python -m mirsal_testing.demo`: brings the stack up if need be, plays, shows, takes it down."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import httpx
import typer

from mirsal_testing.demo.play import play
from mirsal_testing.demo.screen import Screen
from mirsal_testing.demo.story import DemoError, DemoWorkflow, Story, read_story
from mirsal_testing.rest import RestError
from mirsal_testing.servers.cache import repository_folder
from mirsal_testing.servers.server import ServerError
from mirsal_testing.stack import Stack, StackError

if TYPE_CHECKING:
    from mirsal_testing.demo.verdict import Verdict

EXAMPLES = (repository_folder() or Path.cwd()) / "examples"
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    leads: Annotated[Path, typer.Option(help="CSV of the leads")] = EXAMPLES / "leads.csv",
    workflow: Annotated[Path, typer.Option(help="the workflow's definition")] = EXAMPLES
    / "welcome.workflow.json",
    *,
    keep: Annotated[
        bool, typer.Option(envvar="MIRSAL_DEMO_KEEP", help="leave the stack up at the end")
    ] = False,
) -> None:
    """200 leads through e-mail, WhatsApp and a sheet. Exits 0 only if each got one of each."""
    screen = Screen()
    try:
        good = asyncio.run(_demo(read_story(leads, workflow), screen, keep=keep))
    except (DemoError, RestError, StackError, ServerError, OSError, httpx.HTTPError) as error:
        screen.warn(f"The demo could not go on: {error}")
        raise typer.Exit(2) from None
    raise typer.Exit(0 if good else 1)


async def _demo(story: Story, screen: Screen, *, keep: bool) -> bool:
    began = time.monotonic()
    stack = Stack(stays=keep)
    if not stack.is_up():
        screen.say("Starting Kafka, PostgreSQL, Valkey and the services ...")
    is_ours = await stack.up()
    try:
        screen.say(f"the platform is up, {time.monotonic() - began:.1f} s")
        verdict, run_id = await play(stack.environment, story, screen)
        screen.conclude(verdict, time.monotonic() - began)
        stays = keep or not is_ours
        _show_next(screen, stack, verdict, story.workflow, run_id, stays=stays)
        return not verdict.faults
    finally:
        if is_ours and not keep:
            await stack.down()


def _show_next(
    screen: Screen,
    stack: Stack,
    verdict: Verdict,
    workflow: DemoWorkflow,
    run_id: str,
    *,
    stays: bool,
) -> None:
    if not verdict.faults:
        screen.say(
            "Every lead got exactly one e-mail, one WhatsApp message and one row of the sheet, "
            "word for word."
        )
    if not stays:
        screen.say(
            "\nThe platform is taken down again. [bold]make up[/bold] brings it back with its "
            "data;\n[bold]MIRSAL_DEMO_KEEP=1 make demo[/bold] leaves it up, with all messages in "
            "its inbox page and all rows in its sheets page."
        )
        return
    environment = stack.environment
    screen.say("\nWhere to look next:")
    screen.say(f"  API docs    {stack.url}/docs")
    screen.say(f"  inbox       {environment['MIRSAL_INBOX_URL']}")
    sheets = environment["MIRSAL_SHEETS_SIMULATOR_URL"]
    screen.say(
        f"  the sheet   {sheets}/spreadsheets/{workflow.spreadsheet}?tab={quote(workflow.tab)}"
    )
    log = f"{workflow.id}/logs?runId={run_id}"
    screen.say(f"  a run's log {stack.url}/api/automation/workflow/{log}")
    screen.say(f"              (header x-api-key: the MIRSAL_API_KEY of {stack.folder.env})")


app()
