"""The state folder of a stack, `.mirsal`: what lies where in it."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mirsal_runtime.vault.keys import write_new_key

from mirsal_testing.servers.cache import repository_folder
from mirsal_testing.servers.processes import find_process

if TYPE_CHECKING:
    import psutil

SUPERVISOR = "supervisor"
_ROTATE_AT = 10_000_000


def default_state_folder() -> Path:
    """`MIRSAL_STATE_DIR`, else `.mirsal` in the checkout, else in the working folder."""
    named = os.environ.get("MIRSAL_STATE_DIR")
    if named:
        return Path(named).expanduser().absolute()
    return (repository_folder() or Path.cwd()) / ".mirsal"


class StateFolder:
    """Paths within one stack's folder. Looks at files only; starts and ends nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.logs = self.root / "logs"
        self.run = self.root / "run"
        self.data = self.root / "data"
        self.env = self.root / "env"
        # Ports, secrets and which one-off jobs are done: kept over `down`.
        self.kept = self.root / "kept.json"
        # A file, so that its keys can be rotated while everything runs.
        self.vault_keys = self.root / "vault-keys"
        self.lock = self.root / "supervisor.lock"
        self.status = self.run / "status.json"
        # Which code all services run that have no file of their own for it: see `code`.
        self.first_code = self.root / "code.json"

    def make(self) -> None:
        for folder in (self.logs, self.run, self.data):
            folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(self.vault_keys, flags, 0o600), "w") as file:
                file.write(write_new_key("local-1") + "\n")

    def log_of(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def pid_file_of(self, name: str) -> Path:
        return self.run / f"{name}.pid"

    def hold_file_of(self, name: str) -> Path:
        """While it exists the supervisor leaves that process down."""
        return self.run / f"{name}.hold"

    def code_file_of(self, name: str) -> Path:
        """Which code that process runs from its next start on."""
        return self.run / f"{name}.code"

    def supervisor(self) -> psutil.Process | None:
        return find_process(self.pid_file_of(SUPERVISOR))

    def pid_files(self, name: str) -> dict[int, Path]:
        """The pid files of a part by index from 1; a part with one process may lack the number."""
        found: dict[int, Path] = {}
        numbered = re.compile(re.escape(name) + r"(?:-(\d+))?")
        for pid_file in self.run.glob("*.pid"):
            match = numbered.fullmatch(pid_file.stem)
            if match:
                found[int(match[1] or 1)] = pid_file
        return dict(sorted(found.items()))

    def rotate_logs(self) -> None:
        """Moves large logs aside, one generation of each."""
        for log in self.logs.glob("*.log"):
            if log.stat().st_size > _ROTATE_AT:
                log.replace(log.with_name(f"{log.name}.1"))

    def remove_run(self) -> None:
        shutil.rmtree(self.run, ignore_errors=True)

    def remove(self) -> None:
        """Removes all, data that lies elsewhere and is linked to from here included."""
        for link in self.data.glob("*/*"):
            if link.is_symlink():
                shutil.rmtree(link.resolve(), ignore_errors=True)
        shutil.rmtree(self.root, ignore_errors=True)
