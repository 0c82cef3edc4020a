"""The file `.mirsal/env`: one NAME=value a line, for a shell's `.` and for any dotenv reader."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]*")


def write_env(path: Path, values: Mapping[str, str]) -> None:
    """Writes it in one step; only its owner may read it, as it holds keys."""
    lines = [f"{name}={_quoted(value)}\n" for name, value in values.items()]
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.writelines(lines)
    draft.replace(path)


def read_env(path: Path) -> dict[str, str]:
    """What `write_env` wrote; empty if there is no such file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name: "".join(shlex.split(value)) for name, _, value in pairs}


def _quoted(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else shlex.quote(value)
