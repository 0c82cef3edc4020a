"""The end of a log file, for error messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_READ_AT_MOST = 256 * 1024
_TELLING = re.compile(r"ERROR|FATAL|PANIC|Exception|Error:|Caused by")
_TELLING_LINES = 8


def read_tail(log: Path, lines: int = 20) -> str:
    """The last lines, after those before them that tell of an error; or that there are none.

    A server that cannot start often says why first and then how it shuts down, at length.
    """
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _READ_AT_MOST))
            text = file.read().decode("utf-8", "replace").strip()
    except FileNotFoundError:
        text = ""
    if not text:
        return f"(nothing in {log})"
    every = text.splitlines()
    last = every[-lines:]
    telling = [line for line in every[:-lines] if _TELLING.search(line)][-_TELLING_LINES:]
    middle = ["..."] if telling else []
    return f"the end of {log}:\n" + "\n".join([*telling, *middle, *last])
