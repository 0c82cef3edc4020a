"""The commands behind `make up`, `make down`, `make status`, `make logs` and `make clean`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mirsal_testing.servers.choice import fetch_binaries
from mirsal_testing.servers.server import ServerError
from mirsal_testing.stack.follow import follow_logs
from mirsal_testing.stack.launch import StackError
from mirsal_testing.stack.preparation import build_parts, prepare_services
from mirsal_testing.stack.stack import Stack
from mirsal_testing.stack.supervisor import supervise as run_supervisor

if TYPE_CHECKING:
    from mirsal_testing.stack.status import StackStatus

app = typer.Typer(help="Mirsal on this machine.", no_args_is_help=True, add_completion=False)
console = Console(highlight=False, soft_wrap=True)
_COLOURS = {"ready": "green", "done": "green", "down": "red", "starting": "yellow"}


@app.command()
def up() -> None:
    """Starts everything and returns when all is ready."""
    stack = Stack(stays=True)
    began = time.monotonic()
    try:
        started = asyncio.run(stack.up(_Progress().show))
    except (StackError, ServerError) as error:
        console.print(f"[red]Mirsal did not start:[/] {escape(str(error))}")
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        console.print("interrupted; all is down again")
        raise typer.Exit(130) from None
    seconds = time.monotonic() - began
    console.print(f"Mirsal is up ({seconds:.1f} s)." if started else "Mirsal is up already.")
    unused = [] if started else stack.unused_settings()
    if unused:
        names = ", ".join(unused)
        console.print(f"[yellow]It was started without {names}[/]: make down, then make up again.")
    _show_places(stack)


@app.command()
def fetch() -> None:
    """Has what servers and services need; quick if it is there. `up` does it too."""
    try:
        asyncio.run(_fetch())
    except ServerError as error:
        console.print(f"[red]Cannot fetch the servers:[/] {escape(str(error))}")
        raise typer.Exit(1) from error


async def _fetch() -> None:
    await fetch_binaries()
    await prepare_services(os.environ)


@app.command()
def down() -> None:
    """Ends everything; data and logs stay."""
    stack = Stack(stays=True)
    ran = asyncio.run(stack.down())
    console.print("Mirsal is down." if ran else "Mirsal was not up.")


@app.command()
def status() -> None:
    """Which processes run; fails if the stack is not ready."""
    stack = Stack(stays=True)
    found = stack.status if stack.is_up() else None
    if found is None:
        console.print("Mirsal is down.")
        raise typer.Exit(1)
    table = Table("part", "state", "pid", "starts", "seconds to start", box=None)
    for part in found.parts:
        state = f"[{_COLOURS.get(part.state, 'white')}]{part.state}[/]"
        seconds = "" if part.seconds is None else f"{part.seconds:.1f}"
        table.add_row(part.name, state, str(part.pid or ""), str(part.starts or ""), seconds)
    console.print(table)
    _show_places(stack)
    if found.phase != "ready":
        raise typer.Exit(1)


@app.command()
def logs(
    names: Annotated[
        list[str] | None, typer.Argument(help="parts, such as gateway; all if none")
    ] = None,
    follow: Annotated[bool, typer.Option(help="go on until interrupted")] = True,
) -> None:
    """Shows the logs of all parts, or of some, as they grow."""
    try:
        follow_logs(Stack(stays=True).folder.logs, names or [], console, follow=follow)
    except KeyboardInterrupt:
        raise typer.Exit from None


@app.command()
def clean() -> None:
    """Ends everything and removes its data and logs."""
    stack = Stack(stays=True)
    asyncio.run(stack.down())
    stack.folder.remove()
    console.print(f"{stack.folder.root} is gone.")


@app.command(hidden=True)
def prepare() -> None:
    """Builds what services need, for `prepare_services`."""
    sys.exit(build_parts(os.environ))


@app.command(hidden=True)
def supervise() -> None:
    """The process behind a stack: started by `up`."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    sys.exit(run_supervisor(Stack().folder))


class _Progress:
    """One line for each part as it becomes ready."""

    def __init__(self) -> None:
        self._shown: set[str] = set()

    def show(self, status: StackStatus) -> None:
        for part in status.parts:
            if part.state in {"ready", "done"} and part.name not in self._shown:
                self._shown.add(part.name)
                if part.seconds is not None:
                    console.print(f"  {part.name:<24} {part.state} in {part.seconds:.1f} s")


def _show_places(stack: Stack) -> None:
    environment = stack.environment
    places = {
        "API": environment.get("MIRSAL_URL"),
        "API docs": f"{environment.get('MIRSAL_URL')}/docs",
        "inbox": environment.get("MIRSAL_INBOX_URL"),
        "settings": str(stack.folder.env),
        "logs": str(stack.folder.logs),
    }
    for name, place in places.items():
        if place:
            console.print(f"  {name:<24} {place}")
