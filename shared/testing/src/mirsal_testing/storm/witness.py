"""What a process has in hand, as others see it while it stands still: nobody asks the process."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from mirsal_contracts.topics import (
    EXECUTIONS_REQUESTED_V1,
    NODE_COMMANDS_CODE_V1,
    NODE_COMMANDS_GOOGLE_SHEETS_V1,
    NODE_STATUSES_V1,
)
from mirsal_runtime.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mirsal_testing.stack import Stack
    from mirsal_testing.storm.clients import Clients

SQL = load_queries("mirsal_testing.storm")
# What the stopped process sent before must have had its effect on the servers.
SETTLE_SECONDS = 0.05
# The other gateway has answered by then: who waits longer waits for what stands still.
PATIENCE_SECONDS = 0.25
_OPEN_CLAIMS = {"email-worker": "count_open_mails", "whatsapp-worker": "count_open_chats"}
_READS = {
    "orchestrator": (EXECUTIONS_REQUESTED_V1, NODE_STATUSES_V1),
    "sheets-worker": (NODE_COMMANDS_GOOGLE_SHEETS_V1,),
    "code-runner": (NODE_COMMANDS_CODE_V1,),
}


class Witness:
    """Looks at a part of a stack that was stopped a moment ago."""

    def __init__(self, stack: Stack, clients: Clients, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._servers = stack.environment["KAFKA_BOOTSTRAP_SERVERS"]
        self._clients = clients
        self._pool = pool

    async def count(self, part: str, stopped_at: float) -> int:
        """How much work the first process of `part` had begun by `stopped_at` and not finished.

        Claims without an outcome of a worker that writes to people; records from before, beyond
        the committed offsets, of the orchestrator and of workers that gather; leased deliveries of
        the webhook worker; calls from before without an answer, of the gateway and of Kafka.
        """
        if part in _OPEN_CLAIMS:
            await asyncio.sleep(SETTLE_SECONDS)
            return int(await self._pool.fetchval(SQL[_OPEN_CLAIMS[part]], f"{part}-1"))
        if part == "webhook-worker":
            return int(await self._pool.fetchval(SQL["count_open_deliveries"]))
        if part in _READS:
            await asyncio.sleep(SETTLE_SECONDS)
            return await self._count_uncommitted(part, stopped_at)
        await asyncio.sleep(PATIENCE_SECONDS)
        return self._clients.count_open(stopped_at)

    async def _count_uncommitted(self, group: str, stopped_at: float) -> int:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers, group_id=group, enable_auto_commit=False
        )
        await consumer.start()
        try:
            places = [
                TopicPartition(topic.name, number)
                for topic in _READS[group]
                for number in range(topic.partitions)
            ]
            consumer.assign(places)
            later = await consumer.offsets_for_times(dict.fromkeys(places, int(stopped_at * 1000)))
            ends = await consumer.end_offsets(places)
            uncommitted = 0
            for place in places:
                found = later[place]
                end = ends[place] if found is None else found.offset
                uncommitted += max(0, end - (await consumer.committed(place) or 0))
            return uncommitted
        finally:
            await consumer.stop()


@asynccontextmanager
async def open_witness(stack: Stack, clients: Clients) -> AsyncIterator[Witness]:
    """A witness of a running stack that has one orchestrator and one worker of each kind."""
    url = stack.environment["DATABASE_URL"]
    async with asyncpg.create_pool(url, min_size=0, max_size=1) as pool:
        yield Witness(stack, clients, pool)
