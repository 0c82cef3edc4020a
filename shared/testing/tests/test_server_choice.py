"""Which server is used: somebody's by URL, embedded, or a container."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mirsal_testing.servers import EmbeddedServer, ExternalServer, Server, ServerError
from mirsal_testing.servers.choice import choose_backend, choose_server, choose_servers
from mirsal_testing.servers.containers import kafka_recipe

if TYPE_CHECKING:
    from pathlib import Path

    from mirsal_testing.servers.choice import ServerName

URLS: list[tuple[ServerName, str]] = [
    ("kafka", "KAFKA_BOOTSTRAP_SERVERS"),
    ("postgres", "DATABASE_URL"),
    ("valkey", "REDIS_URL"),
]


@pytest.mark.parametrize(
    ("wish", "wheels", "docker", "expected"),
    [
        ("auto", True, True, "embedded"),
        ("auto", True, False, "embedded"),
        ("auto", False, True, "containers"),
        ("embedded", False, True, "embedded"),
        ("containers", True, False, "containers"),
    ],
)
def test_the_backend(wish: str, wheels: bool, docker: bool, expected: str) -> None:
    found = choose_backend(wish, wheels_are_installed=lambda: wheels, docker_answers=lambda: docker)
    assert found == expected


def test_no_backend_is_said_with_the_ways_out() -> None:
    with pytest.raises(ServerError, match=r"make setup.*Docker.*DATABASE_URL"):
        choose_backend("auto", wheels_are_installed=lambda: False, docker_answers=lambda: False)


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(ServerError, match="auto, embedded or containers"):
        choose_backend("podman")


@pytest.mark.parametrize(("name", "setting"), URLS)
def test_a_url_replaces_one_server_and_no_other(
    tmp_path: Path, name: ServerName, setting: str
) -> None:
    servers = choose_servers(tmp_path, environment={setting: "127.0.0.1:9"})
    by_name = {server.name: server for server in servers.all}
    assert isinstance(by_name.pop(name), ExternalServer)
    assert all(isinstance(server, EmbeddedServer) for server in by_name.values())
    assert servers.urls()[setting] == "127.0.0.1:9"


@pytest.mark.parametrize(("name", "setting"), URLS)
async def test_a_server_of_somebody_else_answers_and_is_left_alone(
    kafka_server: Server,
    postgres_server: Server,
    valkey_server: Server,
    tmp_path: Path,
    name: ServerName,
    setting: str,
) -> None:
    real = {"kafka": kafka_server, "postgres": postgres_server, "valkey": valkey_server}[name]
    server = choose_server(name, tmp_path, environment={setting: real.url})
    await server.start()
    await server.stop()
    assert await real.is_ready()
    assert (server.url, server.pid, server.data) == (real.url, None, None)
    for refused in (server.kill, server.pause, server.resume, server.restart):
        with pytest.raises(ServerError, match=f"not ours.*{setting}"):
            await refused()


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("kafka", "127.0.0.1:9,localhost:9"),
        ("postgres", "postgresql://x@127.0.0.1:9/x"),
        ("valkey", "redis://127.0.0.1:9/0"),
    ],
)
async def test_a_server_that_does_not_answer_is_said(
    monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    monkeypatch.setattr("mirsal_testing.servers.external._START_SECONDS", 0.1)
    server = ExternalServer(name, url, "THE_SETTING")
    assert not await server.is_ready()
    with pytest.raises(ServerError, match=r"has not answered.*THE_SETTING"):
        await server.start()


def test_kafka_in_a_container_has_the_same_settings_but_its_own_addresses() -> None:
    environment = kafka_recipe(12345).environment
    assert environment["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://127.0.0.1:12345"
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert environment["KAFKA_MESSAGE_MAX_BYTES"] == "2228224"
    assert not [value for value in environment.values() if "{" in value]
