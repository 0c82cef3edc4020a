"""`python -m mirsal_testing.bench`: measures, shows tables, and writes JSON if asked."""

from __future__ import annotations

import asyncio
from pathlib import Path  # noqa: TC003 - typer reads annotations when the program runs
from typing import TYPE_CHECKING, Annotated

import typer

from mirsal_testing.bench.profile import profile, sum_up
from mirsal_testing.bench.program import QUICK, Program, carry_out, open_servers
from mirsal_testing.bench.report import Report
from mirsal_testing.bench.target import BenchError
from mirsal_testing.rest import RestError
from mirsal_testing.servers import ServerError
from mirsal_testing.servers.cache import cache_folder
from mirsal_testing.stack import StackError

if TYPE_CHECKING:
    from mirsal_testing.bench.product import Connector

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    json: Annotated[Path | None, typer.Option(help="write all figures to this file")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="measure only targets with this in their name")
    ] = None,
    repeat: Annotated[int, typer.Option(help="bursts a target; the median counts")] = 3,
    profiled: Annotated[
        str, typer.Option("--profile", help="sample this service in a burst instead (--only noop)")
    ] = "",
    *,
    quick: Annotated[bool, typer.Option(help="a few hundred runs: does it work at all?")] = False,
    check: Annotated[bool, typer.Option(help="exit 1 if a bar (not an aim) is missed")] = False,
) -> None:
    """How fast the platform is, beside bare processes that make the same hops."""
    report = Report()
    program = QUICK if quick else Program(repeat=repeat)
    try:
        if profiled:
            noop = profiled == "noop-worker" or "noop" in (only or ())
            asyncio.run(_profile(report, program, profiled, "noop" if noop else "whatsapp"))
            return
        results = asyncio.run(carry_out(program, report.note, only=only or ()))
    except (BenchError, RestError, StackError, ServerError) as error:
        report.warn(f"The benchmark could not be made: {error}")
        raise typer.Exit(2) from None
    report.conclude(results)
    if json is not None:
        json.write_text(results.model_dump_json(indent=1), encoding="utf-8")
    if check and not all(bar.passed for bar in results.bars if "(aim)" not in bar.what):
        raise typer.Exit(1)


async def _profile(report: Report, program: Program, part: str, connector: Connector) -> None:
    stacks = cache_folder() / "profiles" / f"{part}.stacks"
    stacks.parent.mkdir(parents=True, exist_ok=True)
    async with open_servers() as (servers, folder):
        figures = await profile(servers, folder, program, part, stacks, connector=connector)
    report.note(figures)
    alone, with_calls = sum_up(stacks.read_text(encoding="utf-8"))
    for title, parts in (("in themselves", alone), ("with what they call", with_calls)):
        report.say(f"\n{part}: functions by their part of the samples, {title}")
        for name, part_of_all in parts:
            report.say(f"  {part_of_all:6.1%}  {name}")
    report.say(f"\nThe stacks are in {stacks}: speedscope.app or flamegraph.pl shows them.")


app()
