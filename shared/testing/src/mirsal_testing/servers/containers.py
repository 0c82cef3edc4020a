"""The three servers as Docker containers, by testcontainers; imported only where they are used.

Their data lasts as long as the process that started them: its end removes the containers.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING

import docker
from docker.errors import DockerException, NotFound
from testcontainers.core.container import DockerContainer

from mirsal_testing.servers.probes import kafka_answers, postgres_answers, valkey_answers
from mirsal_testing.servers.remembered import Remembered
from mirsal_testing.servers.server import ServerError

if TYPE_CHECKING:
    from pathlib import Path

    from mirsal_testing.servers.choice import ServerName

_START_SECONDS = 120.0
_STOP_SECONDS = 20
_POLL = 0.1
_ROLE = "mirsal"


def docker_answers() -> bool:
    """Whether a Docker engine can be reached from here."""
    try:
        client = docker.from_env(timeout=3)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except (DockerException, OSError):
        return False


@dataclass(frozen=True)
class Recipe:
    """What to run: image, the port it listens on inside, environment and command."""

    image: str
    port: int
    environment: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)


def kafka_recipe(port: int) -> Recipe:
    """Kafka that tells its clients to come to 127.0.0.1 at this port."""
    text = (files("mirsal_testing.servers") / "kafka.properties").read_text(encoding="ascii")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    settings = dict(line.split("=", 1) for line in lines)
    settings |= {
        "controller.quorum.voters": "1@127.0.0.1:9093",
        "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "log.dirs": "/var/lib/kafka/data",
    }
    environment = {
        f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in settings.items()
    }
    return Recipe("apache/kafka:4.4.0", 9092, environment)


def postgres_recipe(password: str) -> Recipe:
    environment = {"POSTGRES_USER": _ROLE, "POSTGRES_PASSWORD": password, "POSTGRES_DB": _ROLE}
    environment["POSTGRES_INITDB_ARGS"] = "--encoding=UTF8 --locale=C"
    command = ["postgres", "-c", "max_connections=200", "-c", "timezone=UTC"]
    return Recipe("postgres:18", 5432, environment, command)


def valkey_recipe() -> Recipe:
    return Recipe("valkey/valkey:9.1", 6379, command=["valkey-server", "--appendonly", "yes"])


class ContainerServer:
    """A `Server` in a container, at a fixed port of 127.0.0.1."""

    data = None

    def __init__(self, name: ServerName, home: Path, *, log: Path | None = None) -> None:
        self.name = name
        self.log = log
        kept = Remembered(home / "kept.json")
        self._port = kept.port("port")
        self._password = kept.secret("password")
        self._container: DockerContainer | None = None

    @property
    def url(self) -> str:
        return {
            "kafka": f"127.0.0.1:{self._port}",
            "postgres": f"postgresql://{_ROLE}:{self._password}@127.0.0.1:{self._port}/{_ROLE}",
            "valkey": f"redis://127.0.0.1:{self._port}/0",
        }[self.name]

    @property
    def pid(self) -> int | None:
        """Always None: a container's process cannot be signalled from here; use the methods."""
        return None

    async def start(self) -> None:
        await asyncio.to_thread(self._start)
        deadline = time.monotonic() + _START_SECONDS
        while not await self.is_ready():
            if time.monotonic() > deadline:
                raise ServerError(
                    f"the {self.name} container was not ready within {_START_SECONDS:.0f} s; its "
                    f"log ends:\n{await asyncio.to_thread(self._log_tail)}"
                )
            await asyncio.sleep(_POLL)

    async def stop(self) -> None:
        if self._container is not None:
            container = self._container.get_wrapped_container()
            await asyncio.to_thread(container.stop, timeout=_STOP_SECONDS)

    async def kill(self) -> None:
        await asyncio.to_thread(self._started().get_wrapped_container().kill)

    async def pause(self) -> None:
        await asyncio.to_thread(self._started().get_wrapped_container().pause)

    async def resume(self) -> None:
        await asyncio.to_thread(self._started().get_wrapped_container().unpause)

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def is_running(self) -> bool:
        return self._container is not None and await asyncio.to_thread(self._status) == "running"

    async def is_ready(self) -> bool:
        if self.name == "kafka":
            return await kafka_answers(self.url)
        if self.name == "postgres":
            return await postgres_answers(self.url)
        return await valkey_answers("127.0.0.1", self._port)

    def _recipe(self) -> Recipe:
        if self.name == "kafka":
            return kafka_recipe(self._port)
        return postgres_recipe(self._password) if self.name == "postgres" else valkey_recipe()

    def _start(self) -> None:
        if self._container is not None:
            self._container.get_wrapped_container().start()
            return
        recipe = self._recipe()
        container = DockerContainer(recipe.image, env=recipe.environment)
        container.with_bind_ports(recipe.port, self._port)
        if recipe.command:
            container.with_command(recipe.command)
        try:
            self._container = container.start()
        except DockerException as error:
            raise ServerError(f"Docker cannot start {recipe.image}: {error}") from error

    def _started(self) -> DockerContainer:
        if self._container is None:
            raise ServerError(f"{self.name} was not started by this handle: call start() first")
        return self._container

    def _status(self) -> str:
        container = self._started().get_wrapped_container()
        try:
            container.reload()
        except NotFound:
            return "removed"
        return str(container.status)

    def _log_tail(self) -> str:
        output: bytes = self._started().get_wrapped_container().logs(tail=25)
        return output.decode("utf-8", "replace")
