"""Which code the services of a stack run: this version's, or a release's that lies elsewhere.

Told by files in the stack's folder, so that a process can be replaced by one of another version
while the others go on: see `mirsal_testing.releases.rolling`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mirsal_testing.servers.processes import Program
    from mirsal_testing.stack.folder import StateFolder


@dataclass(frozen=True)
class Code:
    """An interpreter, and what its environment has besides."""

    python: str = sys.executable
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, program: Program) -> Program:
        """The same program with this code."""
        _, *arguments = program.arguments
        environment = {**program.environment, **self.environment}
        return replace(program, arguments=[self.python, *arguments], environment=environment)

    def write(self, path: Path) -> None:
        """Into a file, in one step."""
        draft = path.with_name(f".{path.name}")
        members = {"python": self.python, "environment": dict(self.environment)}
        draft.write_text(json.dumps(members), "utf-8")
        draft.replace(path)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """What `write` wrote; None if there is no such file."""
        try:
            return cls(**json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            return None


THIS_VERSION = Code()


def code_of(folder: StateFolder, part: str) -> Code:
    """What the next start of a service's process runs."""
    return Code.read(folder.code_file_of(part)) or Code.read(folder.first_code) or THIS_VERSION


def first_code_of(folder: StateFolder) -> Code:
    """What the stack came up with: migrations, topics and keys are made by it."""
    return Code.read(folder.first_code) or THIS_VERSION
