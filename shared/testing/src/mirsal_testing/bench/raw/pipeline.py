"""Starts the bare pipeline on running servers, and knows when its runs ended."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Self

import aiohttp
import asyncpg
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from mirsal_runtime.queries import load_queries

from mirsal_testing.bench.load import LEAD_PLACE
from mirsal_testing.bench.raw.wire import PARTITIONS, RUN_PATH, STEPS, topics_of
from mirsal_testing.bench.target import BenchError, read_message_ends
from mirsal_testing.servers.ports import free_port
from mirsal_testing.servers.processes import ChildProcess, Program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mirsal_testing.servers import Servers

SQL = load_queries("mirsal_testing.bench.raw")
START_SECONDS = 30.0


class RawPipeline:
    """A `Target`: front, brain, worker and, if wanted, provider, each a process.

    An async context manager; inside it the processes run.
    """

    headers: Mapping[str, str] = {}
    body = f'{{"leadId": "{LEAD_PLACE.decode()}"}}'
    leads = 1
    only_scenario = ""

    def __init__(self, servers: Servers, database: str, folder: Path, *, provider: bool) -> None:
        self.name = "bare, with provider" if provider else "bare, without provider"
        self._servers = servers
        self._database = database
        self._folder = folder
        self._with_provider = provider
        self._front_port, self._provider_port = free_port(), free_port()
        self._processes: dict[str, ChildProcess] = {}
        self._open = AsyncExitStack()
        self._marked_at = 0.0
        self._marked_calls = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._front_port}{RUN_PATH}"

    async def __aenter__(self) -> Self:
        try:
            await self._start_all()
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    def platform(self) -> Mapping[str, int]:
        servers = {server.name: server.pid for server in self._servers.all}
        return {
            **{
                name: process.pid for name, process in self._processes.items() if name != "provider"
            },
            **{name: pid for name, pid in servers.items() if pid is not None},
        }

    def beside(self) -> Mapping[str, int]:
        return {
            name: process.pid for name, process in self._processes.items() if name == "provider"
        }

    async def mark(self) -> None:
        self._marked_at = time.time()
        if self._with_provider:
            self._marked_calls = await self._count_calls()

    async def count_ended(self) -> int:
        if self._with_provider:
            return (await self._count_calls() - self._marked_calls) // STEPS
        return int(await self._pool.fetchval(SQL["count_ended"], self._marked_at))

    async def read_ends(self) -> Mapping[str, float]:
        if self._with_provider:
            async with self._http.get("/calls", params={"since": self._marked_calls}) as answer:
                return read_message_ends([(at, text) for at, text in await answer.json()])
        rows = await self._pool.fetch(SQL["read_ended"], self._marked_at)
        return {row["run_id"]: row["ended_at"] for row in rows}

    async def _count_calls(self) -> int:
        async with self._http.get("/count") as answer:
            return int(await answer.json())

    async def _make_topics(self, name: str) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._servers.kafka.url)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in topics_of(name)])
        finally:
            await admin.close()

    async def _start_all(self) -> None:
        name = f"bench-raw-{time.time_ns():x}"
        await self._make_topics(name)
        self._http = await self._open.enter_async_context(
            aiohttp.ClientSession(f"http://127.0.0.1:{self._provider_port}")
        )
        self._pool = await self._open.enter_async_context(
            asyncpg.create_pool(self._database, min_size=0, max_size=1)
        )
        await self._pool.execute(SQL["make_table"])
        self._open.push_async_callback(self._pool.execute, SQL["drop_table"])
        flag = ["--provider"] if self._with_provider else []
        if self._with_provider:
            self._start("provider", str(self._provider_port))
            await _until_listening(self._provider_port)
        self._start("brain", name, *flag)
        provider_url = f"http://127.0.0.1:{self._provider_port}" if self._with_provider else ""
        self._start("worker", name, "--provider-url", provider_url)
        self._start("front", name, str(self._front_port), *flag)
        await _until_listening(self._front_port)

    def _start(self, role: str, *arguments: str) -> None:
        environment = {**self._servers.urls(), "DATABASE_URL": self._database}
        command = [sys.executable, "-m", "mirsal_testing.bench.raw", role, *arguments]
        log = self._folder / f"raw-{role}.log"
        process = ChildProcess(Program(command, environment), log=log)
        self._processes[role] = process
        self._open.push_async_callback(process.end, grace=5.0)


async def _until_listening(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.05)
    raise BenchError(f"a bare process did not listen within {START_SECONDS:.0f} s")
