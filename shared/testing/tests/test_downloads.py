"""Jars come whole, with the pinned hash, once, or not at all with a message that helps."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from mirsal_testing.servers import ServerError, download
from mirsal_testing.servers.cache import exclusive
from mirsal_testing.servers.download import fetch_jars
from mirsal_testing.servers.maven import (
    MAVEN_CENTRAL,
    Jar,
    Repository,
    choose_repository,
    pinned_jars,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CONTENT = {name: name.encode() * 5_000 for name in ("alpha", "beta", "gamma")}
JARS = [
    Jar("org.example", name, "1.0", len(content), hashlib.sha256(content).hexdigest())
    for name, content in CONTENT.items()
]


class Maven:
    """A Maven repository that can be told to misbehave."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.failures: dict[str, list[int]] = {}
        self.content = dict(CONTENT)
        self.repository = Repository("")

    async def answer(self, request: web.Request) -> web.StreamResponse:
        name = request.path.split("/")[3]
        self.asked[name] += 1
        planned = self.failures.get(name, [])
        status = planned.pop(0) if planned else 200
        if status == 0:
            response = web.StreamResponse(headers={"Content-Length": "1000000"})
            await response.prepare(request)
            await response.write(self.content[name][:1000])
            assert request.transport is not None
            request.transport.abort()
            return response
        return web.Response(status=status, body=self.content[name] if status == 200 else b"")


@pytest.fixture
async def maven(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Maven]:
    monkeypatch.setattr(download, "_FIRST_PAUSE", 0.001)
    maven = Maven()
    app = web.Application()
    app.router.add_get("/{path:.*}", maven.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        maven.repository = Repository(str(server.make_url("")).rstrip("/"), source="a test")
        yield maven


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_jars_arrive_and_are_not_fetched_again(maven: Maven, tmp_path: Path) -> None:
    await fetch_jars(JARS, tmp_path, maven.repository)
    await fetch_jars(JARS, tmp_path, maven.repository)
    assert content_of(tmp_path) == {f"{name}-1.0.jar": each for name, each in CONTENT.items()}
    assert set(maven.asked.values()) == {1}


async def test_a_damaged_jar_is_fetched_again(maven: Maven, tmp_path: Path) -> None:
    await fetch_jars(JARS, tmp_path, maven.repository)
    (tmp_path / "beta-1.0.jar").write_bytes(b"x" * JARS[1].size)
    await fetch_jars(JARS, tmp_path, maven.repository)
    assert (tmp_path / "beta-1.0.jar").read_bytes() == CONTENT["beta"]
    assert maven.asked == {"alpha": 1, "beta": 2, "gamma": 1}


@pytest.mark.parametrize("passing", [[503], [0], [429, 502, 0]])
async def test_passing_faults_are_tried_again(
    maven: Maven, tmp_path: Path, passing: list[int]
) -> None:
    maven.failures["beta"] = list(passing)
    await fetch_jars(JARS, tmp_path, maven.repository)
    assert (tmp_path / "beta-1.0.jar").read_bytes() == CONTENT["beta"]
    assert maven.asked["beta"] == len(passing) + 1


async def test_another_content_than_pinned_is_refused(maven: Maven, tmp_path: Path) -> None:
    maven.content["beta"] = b"evil" * 10_000
    with pytest.raises(ServerError, match=r"beta.*sha256.*MIRSAL_MAVEN_URL"):
        await fetch_jars(JARS, tmp_path, maven.repository)
    assert not [name for name in content_of(tmp_path) if "beta" in name]


async def test_what_is_not_there_is_said_with_the_way_out(maven: Maven, tmp_path: Path) -> None:
    maven.failures["beta"] = [404]
    with pytest.raises(ServerError, match=r"404.*a test.*MIRSAL_MAVEN_URL"):
        await fetch_jars(JARS, tmp_path, maven.repository)
    assert maven.asked["beta"] == 1


async def test_a_repository_out_of_reach_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_FIRST_PAUSE", 0.001)
    with pytest.raises(ServerError, match=r"cannot get .*MIRSAL_MAVEN_URL"):
        await fetch_jars(JARS[:1], tmp_path, Repository("http://127.0.0.1:9"))


async def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    inside = 0

    async def enter() -> None:
        nonlocal inside
        async with exclusive(tmp_path / "lock", seconds=10):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(enter() for _ in range(4)))
    async with exclusive(tmp_path / "lock", seconds=10):
        with pytest.raises(ServerError, match="another process"):
            async with exclusive(tmp_path / "lock", seconds=0):
                pytest.fail("two hold it")


def test_the_lock_file_pins_kafka_and_what_lets_it_log() -> None:
    jars = {jar.artifact: jar for jar in pinned_jars()}
    assert len(jars) == 45
    assert jars["kafka_2.13"].path == "org/apache/kafka/kafka_2.13/4.4.0/kafka_2.13-4.4.0.jar"
    assert "slf4j-simple" in jars
    assert all(len(jar.sha256) == 64 and jar.size > 0 for jar in jars.values())


class TestRepository:
    """Which Maven repository is taken."""

    @pytest.fixture(autouse=True)
    def _own_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv("MIRSAL_MAVEN_URL", raising=False)

    def write_settings(self, home: Path, mirror_of: str) -> None:
        (home / ".m2").mkdir()
        (home / ".m2" / "settings.xml").write_text(
            f"""<settings xmlns="http://maven.apache.org/SETTINGS/1.2.0">
              <mirrors><mirror><id>ours</id><mirrorOf>{mirror_of}</mirrorOf>
                <url>https://maven.example/all/</url></mirror></mirrors>
              <servers><server><id>ours</id><username>u</username><password>p</password></server>
              </servers></settings>""",
            encoding="utf-8",
        )

    def test_central_unless_told_otherwise(self) -> None:
        assert choose_repository() == Repository(MAVEN_CENTRAL)

    @pytest.mark.parametrize("mirror_of", ["*", "central", "external:*", "*,!others"])
    def test_a_mirror_of_the_users_maven_settings(self, tmp_path: Path, mirror_of: str) -> None:
        self.write_settings(tmp_path, mirror_of)
        found = choose_repository()
        assert (found.url, found.login) == ("https://maven.example/all", ("u", "p"))

    @pytest.mark.parametrize("mirror_of", ["others", "*,!central"])
    def test_no_mirror_that_leaves_central_out(self, tmp_path: Path, mirror_of: str) -> None:
        self.write_settings(tmp_path, mirror_of)
        assert choose_repository() == Repository(MAVEN_CENTRAL)

    def test_the_setting_wins(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.write_settings(tmp_path, "*")
        monkeypatch.setenv("MIRSAL_MAVEN_URL", "https://setting.example/")
        assert choose_repository().url == "https://setting.example"
