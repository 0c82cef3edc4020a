"""What the supervisor says of itself, in a file that `up`, `status` and tests read."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

Phase = Literal["starting", "ready", "failed", "stopping"]
State = Literal["waiting", "starting", "ready", "down", "done"]


@dataclass
class PartStatus:
    """One process or one-off job. `seconds` is how long its last start, or the job, took.

    `exit_code` is that of a service's process before this one; negative: the signal that ended it.
    """

    name: str
    state: State = "waiting"
    pid: int | None = None
    starts: int = 0
    seconds: float | None = None
    exit_code: int | None = None


@dataclass
class StackStatus:
    """The stack as a whole. `message` says why it failed."""

    phase: Phase = "starting"
    message: str = ""
    seconds: float | None = None
    parts: list[PartStatus] = field(default_factory=list)

    def part(self, name: str) -> PartStatus:
        """The part of that name, added if it is new."""
        for part in self.parts:
            if part.name == name:
                return part
        self.parts.append(PartStatus(name))
        return self.parts[-1]


def write_status(path: Path, status: StackStatus) -> None:
    """Replaces the file in one step."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(asdict(status), indent=1), encoding="utf-8")
    draft.replace(path)


def read_status(path: Path) -> StackStatus | None:
    """None if no supervisor has written one."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    parts = [PartStatus(**part) for part in values.pop("parts")]
    return StackStatus(**values, parts=parts)
