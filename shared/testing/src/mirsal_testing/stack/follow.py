"""Showing many log files as one, each line under the name of its part."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_red", "bright_cyan")
_POLL = 0.25
_LINES_BEFORE = 20
_TAIL_BYTES = 32 * 1024


class _Log:
    """One file and how far it was read; begins with its last lines."""

    def __init__(self, path: Path, colour: str) -> None:
        self.name = path.stem
        self.colour = colour
        self._path = path
        size = path.stat().st_size
        self._at = max(0, size - _TAIL_BYTES)
        lines = self.read()
        self.first_lines = lines[-_LINES_BEFORE:]

    def read(self) -> list[str]:
        """The whole lines that were added since the last look."""
        with self._path.open("rb") as file:
            if self._path.stat().st_size < self._at:
                self._at = 0
            file.seek(self._at)
            content = file.read()
        complete = content[: content.rfind(b"\n") + 1]
        self._at += len(complete)
        return complete.decode("utf-8", "replace").splitlines()


def follow_logs(folder: Path, names: list[str], console: Console, *, follow: bool) -> None:
    """Prints the last lines of each log and, with `follow`, what is added until interrupted.

    `names` are parts (`gateway` covers `gateway-1` and so on); none means all.
    """
    logs: dict[Path, _Log] = {}
    while True:
        for path in sorted(folder.glob("*.log")):
            if path not in logs and _is_wanted(path.stem, names):
                logs[path] = _Log(path, _COLOURS[len(logs) % len(_COLOURS)])
                _print(console, logs[path], logs[path].first_lines)
        for log in logs.values():
            _print(console, log, log.read())
        if not follow:
            return
        time.sleep(_POLL)


def _is_wanted(part: str, names: list[str]) -> bool:
    return not names or any(part == name or part.startswith(f"{name}-") for name in names)


def _print(console: Console, log: _Log, lines: list[str]) -> None:
    for line in lines:
        console.print(Text(f"{log.name:<24} ", style=log.colour) + Text(line), soft_wrap=True)
