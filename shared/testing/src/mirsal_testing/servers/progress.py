"""How far a long preparation is: a bar on a terminal, a few plain lines anywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

if TYPE_CHECKING:
    from types import TracebackType

_MEGABYTE = 1_000_000
_LINES = 4


class ByteProgress(Protocol):
    """Takes note of bytes that have arrived; a negative number takes some back."""

    def __enter__(self) -> ByteProgress: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def advance(self, size: int) -> None: ...


def show_bytes(label: str, total: int) -> ByteProgress:
    """Shows on stderr how much of `total` bytes has arrived."""
    console = Console(stderr=True)
    return _Bar(console, label, total) if console.is_terminal else _Lines(console, label, total)


def say(line: str) -> None:
    """One line on stderr about a step that takes a while."""
    Console(stderr=True, highlight=False).print(line, markup=False)


class _Bar:
    def __init__(self, console: Console, label: str, total: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._progress.add_task(label, total=total)

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self, size: int) -> None:
        self._progress.advance(self._task, size)


class _Lines:
    def __init__(self, console: Console, label: str, total: int) -> None:
        self._console = console
        self._label = label
        self._total = total
        self._arrived = 0
        self._printed = 0

    def __enter__(self) -> _Lines:
        self._print()
        return self

    def __exit__(self, *_: object) -> None:
        return

    def advance(self, size: int) -> None:
        self._arrived += size
        quarter = self._arrived * _LINES // max(self._total, 1)
        if quarter > self._printed:
            self._printed = quarter
            self._print()

    def _print(self) -> None:
        arrived, total = self._arrived / _MEGABYTE, self._total / _MEGABYTE
        self._console.print(f"{self._label}: {arrived:.1f} of {total:.1f} MB", highlight=False)
