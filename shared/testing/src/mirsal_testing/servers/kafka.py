"""An embedded Apache Kafka: one KRaft node, broker and controller in one JVM."""

from __future__ import annotations

import base64
import secrets
from importlib.resources import files
from typing import TYPE_CHECKING, ClassVar

from mirsal_testing.servers.embedded import EmbeddedServer
from mirsal_testing.servers.kafka_runtime import KafkaRuntime, prepare_runtime
from mirsal_testing.servers.probes import kafka_answers
from mirsal_testing.servers.processes import Program
from mirsal_testing.servers.server import ServerError

if TYPE_CHECKING:
    from pathlib import Path

_SETTINGS = files("mirsal_testing.servers") / "kafka.properties"


class KafkaServer(EmbeddedServer):
    """Kafka 4.4 on 127.0.0.1, plaintext, topics made by request only."""

    name: ClassVar[str] = "kafka"

    def __init__(
        self,
        home: Path,
        *,
        log: Path | None = None,
        pid_file: Path | None = None,
        runtime: KafkaRuntime | None = None,
    ) -> None:
        """With a `runtime` of its own it does not look at, or fill, the cache."""
        super().__init__(home, log=log, pid_file=pid_file)
        self._runtime = runtime
        self._controller_port: int | None = None

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def controller_port(self) -> int:
        if self._controller_port is None:
            self._controller_port = self._kept.port("controllerPort")
        return self._controller_port

    async def prepare(self) -> None:
        if self._runtime is None:
            self._runtime = await prepare_runtime()
        self._write_settings()

    async def is_ready(self) -> bool:
        return await kafka_answers(self.url)

    def _program(self) -> Program:
        if self._runtime is None:
            raise ServerError("Kafka was not prepared: call start()")
        arguments = [*self._runtime.arguments(), "kafka.Kafka", str(self._settings_file)]
        return Program(arguments, {"LC_ALL": "C", "TZ": "UTC"}, folder=self.home)

    @property
    def _settings_file(self) -> Path:
        return self.home / "server.properties"

    def _write_settings(self) -> None:
        """The settings, and the two lines of identity that a format step would write."""
        settings = _SETTINGS.read_text(encoding="ascii").format(
            port=self.port, controller_port=self.controller_port, data=self.data
        )
        self._settings_file.write_text(settings, encoding="utf-8")
        self.data.mkdir(exist_ok=True)
        identity = self.data / "meta.properties"
        if not identity.is_file():
            identity.write_text(
                f"version=1\nnode.id=1\ncluster.id={_random_id()}\ndirectory.id={_random_id()}\n",
                encoding="ascii",
            )


def _random_id() -> str:
    """A Kafka Uuid: 22 characters. One that begins with a hyphen is not made by Kafka either."""
    while True:
        drawn = base64.urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode("ascii")
        if not drawn.startswith("-"):
            return drawn
