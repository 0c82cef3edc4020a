"""The end of a log file, for error messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_READ_AT_MOST = 64 * 1024


def read_tail(log: Path, lines: int = 25) -> str:
    """The last lines, or a sentence saying that there are none."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _READ_AT_MOST))
            text = file.read().decode("utf-8", "replace").strip()
    except FileNotFoundError:
        text = ""
    if not text:
        return f"(nothing in {log})"
    return f"the end of {log}:\n" + "\n".join(text.splitlines()[-lines:])
