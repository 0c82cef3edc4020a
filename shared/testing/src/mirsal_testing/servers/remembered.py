"""Values that are drawn once and kept in a file: ports and secrets."""

from __future__ import annotations

import json
import os
import secrets
from typing import TYPE_CHECKING

from mirsal_testing.servers.ports import free_port, is_free

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Remembered:
    """A small JSON object in a file that only its owner may read; one writer at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._values: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            self._values = {}

    def get(self, name: str) -> str | None:
        return self._values.get(name)

    def keep(self, name: str, value: str) -> str:
        """Stores a value in one step and returns it."""
        if self._values.get(name) != value:
            self._values[name] = value
            self._write()
        return value

    def forget(self, name: str) -> None:
        if self._values.pop(name, None) is not None:
            self._write()

    def draw(self, name: str, make: Callable[[], str]) -> str:
        """The value kept under this name, made the first time."""
        return self._values.get(name) or self.keep(name, make())

    def secret(self, name: str) -> str:
        """256 random bits, the same ever after."""
        return self.draw(name, lambda: secrets.token_urlsafe(32))

    def port(self, name: str) -> int:
        """A loopback port: the one kept, as long as it is still free, else a new one."""
        kept = self._values.get(name)
        if kept is not None and is_free(int(kept)):
            return int(kept)
        return int(self.keep(name, str(free_port())))

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self._values, file, indent=1)
        draft.replace(self._path)
