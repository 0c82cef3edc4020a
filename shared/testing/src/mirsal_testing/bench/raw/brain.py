"""The bare brain: a batch of events, one PostgreSQL transaction, the next commands."""

from __future__ import annotations

from datetime import UTC, datetime

import asyncpg
import orjson
from mirsal_runtime.queries import load_queries

from mirsal_testing.bench.raw.clients import (
    BATCH,
    Commits,
    content_of,
    make_consumer,
    make_producer,
)
from mirsal_testing.bench.raw.wire import STEPS, command_letters, step_of, topics_of

SQL = load_queries("mirsal_testing.bench.raw")


def count_steps_done(value: bytes) -> int:
    """How many steps of its run are done after that event: a request, or a status of a node."""
    event = orjson.loads(value)
    return step_of(event["nodeId"]) + 1 if "nodeId" in event else 0


async def think(name: str, kafka: str, database: str, *, provider: bool) -> None:
    """Work until cancelled."""
    topics = topics_of(name)
    letters = command_letters(provider=provider)
    consumer = make_consumer(kafka, [topics.requests, topics.statuses], f"{name}.brain")
    producer = make_producer(kafka)
    commits = Commits(consumer)
    async with asyncpg.create_pool(database, min_size=1, max_size=1) as pool:
        await consumer.start()
        await producer.start()
        try:
            while True:
                polled = await consumer.getmany(timeout_ms=1000, max_records=BATCH)
                # A run may have two events in a batch; its later state is the one to keep.
                steps = {
                    key: (count_steps_done(value), value)
                    for records in polled.values()
                    for key, value in map(content_of, records)
                }
                if not steps:
                    continue
                await write_states(pool, steps)
                waits = []
                for run_id, (done, _) in steps.items():
                    if done < STEPS:
                        value, headers = letters[done].write(run_id)
                        waits.append(
                            await producer.send(
                                topics.commands, value=value, key=run_id, headers=headers
                            )
                        )
                for wait in waits:
                    await wait
                commits.note({part: records[-1].offset + 1 for part, records in polled.items()})
        finally:
            await producer.stop()
            await consumer.stop()


async def write_states(
    pool: asyncpg.Pool[asyncpg.Record], steps: dict[bytes, tuple[int, bytes]]
) -> None:
    """One row a run, all in one transaction."""
    rows = sorted((key.decode(), done, event.decode()) for key, (done, event) in steps.items())
    ids, dones, events = zip(*rows, strict=True)
    now = datetime.now(UTC)
    ended = [now if done == STEPS else None for done in dones]
    await pool.execute(SQL["write_states"], ids, dones, events, ended)
