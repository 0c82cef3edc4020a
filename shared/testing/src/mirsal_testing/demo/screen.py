"""What the demo shows: a live bar on a terminal, plain lines elsewhere, and the last table."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mirsal_testing.demo.verdict import Verdict

LINE_SECONDS = 2.0
FAULTS_SHOWN = 20


class Screen:
    """Writes to the standard output."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """One step, or one thing to know."""
        self._console.print(text)

    def warn(self, text: str) -> None:
        """Something that went wrong. The text is shown as it is, brackets and all."""
        self._console.print(text, style="bold red", markup=False)

    @contextmanager
    def follow(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Progress up to `total`: the block calls what it is given with how far it is."""
        if not self._console.is_terminal:
            yield _Lines(self._console, what, total).show
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=40),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task(what, total=total)
            yield lambda done: progress.update(task, completed=done)

    def conclude(self, verdict: Verdict, seconds: float) -> None:
        """The table, and below it what went wrong."""
        table = Table(title="What became of it", show_header=False)
        table.add_column()
        table.add_column(justify="right")
        waits = verdict.waits
        rows = {
            "runs": f"{verdict.runs}",
            "succeeded": f"{verdict.succeeded}",
            "failed": f"{verdict.failed}",
            "e-mails that arrived": f"{verdict.mails}",
            "WhatsApp messages that arrived": f"{verdict.chats}",
            "rows in the sheet": f"{verdict.rows}",
            "from request to last message, p50": _in_seconds(waits, 0.50),
            "from request to last message, p99": _in_seconds(waits, 0.99),
            "the demo took": f"{seconds:.1f} s",
        }
        for name, value in rows.items():
            table.add_row(name, value)
        self._console.print(table)
        for fault in verdict.faults[:FAULTS_SHOWN]:
            self.warn(fault)
        if len(verdict.faults) > FAULTS_SHOWN:
            self.warn(f"... and {len(verdict.faults) - FAULTS_SHOWN} more")


class _Lines:
    """Progress as plain lines, at most one every two seconds and one at the end."""

    def __init__(self, console: Console, what: str, total: int) -> None:
        self._console = console
        self._what = what
        self._total = total
        self._shown = -1
        self._next = time.monotonic()

    def show(self, done: int) -> None:
        due = time.monotonic() >= self._next or done >= self._total
        if done != self._shown and due:
            self._shown, self._next = done, time.monotonic() + LINE_SECONDS
            self._console.print(f"{self._what}: {done}/{self._total}")


def _in_seconds(ordered: Sequence[float], share: float) -> str:
    if not ordered:
        return "-"
    return f"{ordered[min(len(ordered) - 1, int(share * len(ordered)))]:.2f} s"
