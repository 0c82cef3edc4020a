"""The benchmark's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from mirsal_testing.bench.verdict import BURST, busy_scenarios

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirsal_testing.bench.figures import Figures, ProcessUse
    from mirsal_testing.bench.program import Results
    from mirsal_testing.bench.verdict import Bar, Ratio

MEGABYTE = 1_000_000
WIDTH = 132


class Report:
    """Writes to the standard output."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, width=WIDTH)

    def say(self, text: str) -> None:
        """A line of its own."""
        self._console.print(text)

    def warn(self, text: str) -> None:
        """What makes the figures doubtful, or impossible."""
        self._console.print(text, style="bold red", markup=False)

    def note(self, figures: Figures) -> None:
        """One measurement, as soon as it is made."""
        self._console.print(
            f"{figures.target}, {figures.scenario}: {figures.runs_per_second} runs/s, "
            f"p50 {figures.to_end.p50} ms, p99 {figures.to_end.p99} ms, "
            f"{figures.cpu_ms_per_run} ms CPU a run"
        )

    def conclude(self, results: Results) -> None:
        """All tables."""
        machine = results.machine
        self._console.print(
            f"\n{machine.cores} cores, {machine.system}, Python {machine.python}; "
            f"load {machine.load_before} before; "
            "times in ms, from when the POST (code: the command) was due"
        )
        self._show_figures(results.figures)
        self._show_processes(results.figures)
        self._show_ratios(results.ratios)
        self._show_bars(results.bars)
        for figures in busy_scenarios(results.figures):
            self.warn(
                f"{figures.target}, {figures.scenario}: other programs took "
                f"{figures.others_cpu_share:.0%} of the machine: measure again when it is quiet"
            )

    def _show_figures(self, all_figures: Sequence[Figures]) -> None:
        columns = ("runs", "runs/s", "p50", "p95", "p99", "POST p50", "POST p99", "CPU a run")
        table = _table(
            "To the second message (noop: to the end of the run; code: from command to status)",
            columns,
        )
        for figures in all_figures:
            table.add_row(
                f"{figures.target}, {figures.scenario}",
                f"{figures.runs}",
                f"{figures.runs_per_second:.0f}",
                f"{figures.to_end.p50:.1f}",
                f"{figures.to_end.p95:.1f}",
                f"{figures.to_end.p99:.1f}",
                f"{figures.post.p50:.1f}",
                f"{figures.post.p99:.1f}",
                f"{figures.cpu_ms_per_run:.2f}",
            )
        self._print(table)

    def _show_processes(self, all_figures: Sequence[Figures]) -> None:
        bursts = [each for each in all_figures if each.scenario == BURST]
        title = (
            f"{BURST}: CPU ms a run / MB of memory, by process (in brackets: not the platform's)"
        )
        table = _table(title, [each.target for each in bursts])
        for name in dict.fromkeys(name for each in bursts for name in each.processes):
            table.add_row(name, *(_use_of(each.processes.get(name), each) for each in bursts))
        for name in dict.fromkeys(name for each in bursts for name in each.beside):
            table.add_row(f"({name})", *(_use_of(each.beside.get(name), each) for each in bursts))
        self._print(table)

    def _show_ratios(self, ratios: Sequence[Ratio]) -> None:
        table = _table("Beside the raw ceiling", ("Mirsal", "bare", "ratio"))
        for ratio in ratios:
            table.add_row(
                ratio.what, f"{ratio.mirsal:.2f}", f"{ratio.bare:.2f}", f"{ratio.ratio:.2f}"
            )
        self._print(table)

    def _show_bars(self, bars: Sequence[Bar]) -> None:
        table = _table("Promised", ("promised", "measured", ""))
        for bar in bars:
            verdict = "[green]yes[/green]" if bar.passed else "[red]no[/red]"
            table.add_row(bar.what, bar.promised, f"{bar.measured:g}", verdict)
        self._print(table)

    def _print(self, table: Table) -> None:
        if table.row_count:
            self._console.print()
            self._console.print(table)


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _use_of(use: ProcessUse | None, figures: Figures) -> str:
    if use is None:
        return ""
    cpu = use.cpu_seconds / figures.runs * 1000
    return f"{cpu:.2f} / {use.memory_bytes / MEGABYTE:.0f}"
