"""Looking for texts in all that Mirsal keeps: every table, every topic, every log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
from aiokafka import AIOKafkaConsumer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirsal_testing.stack import Stack


def in_any(texts: Sequence[str], found: object) -> bool:
    held = found if isinstance(found, bytes) else str(found).encode()
    return any(text.encode() in held for text in texts)


async def find_in_tables(stack: Stack, texts: Sequence[str]) -> list[str]:
    """The tables with a row that holds one of the texts, as text or as bytes."""
    sql = await asyncpg.connect(stack.environment["DATABASE_URL"])
    try:
        tables = await sql.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        found = []
        for table in tables:
            rows = await sql.fetch(f"SELECT * FROM {table['name']}")  # noqa: S608 - the catalogue's
            if any(in_any(texts, value) for row in rows for value in row.values()):
                found.append(str(table["name"]))
        assert len(tables) > 20
        return found
    finally:
        await sql.close()


async def find_in_topics(stack: Stack, texts: Sequence[str]) -> tuple[list[str], int]:
    """The topics with a record that holds one of the texts, and how many records there are."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=stack.environment["KAFKA_BOOTSTRAP_SERVERS"],
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        consumer.subscribe(pattern="^[a-z].*")
        found, count, empty = set(), 0, 0
        while empty < 3:
            polled = await consumer.getmany(timeout_ms=1000)
            empty = 0 if polled else empty + 1
            for partition, records in polled.items():
                count += len(records)
                for record in records:
                    held = [record.key or b"", record.value or b"", repr(record.headers).encode()]
                    if in_any(texts, b"".join(held)):
                        found.add(partition.topic)
        return sorted(found), count
    finally:
        await consumer.stop()


def find_in_logs(stack: Stack, texts: Sequence[str]) -> list[str]:
    logs = list(stack.folder.logs.glob("*.log"))
    assert len(logs) > 5
    return [log.name for log in logs if in_any(texts, log.read_bytes())]
