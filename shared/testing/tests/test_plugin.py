"""The fixtures of the pytest plugin, used as any test of Mirsal uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from mirsal_testing.servers import Server


async def test_servers_answer_inside_an_async_test(
    kafka_server: Server, postgres_server: Server, valkey_server: Server
) -> None:
    for server in (kafka_server, postgres_server, valkey_server):
        assert await server.is_ready(), server.name


async def test_a_database_is_empty_and_of_this_test_alone(
    postgres_server: Server, postgres_database: str
) -> None:
    connection = await asyncpg.connect(postgres_database, timeout=5)
    try:
        tables = await connection.fetchval(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
        )
        zone, encoding, fsync = [
            await connection.fetchval("SELECT current_setting($1)", name)
            for name in ("TimeZone", "server_encoding", "fsync")
        ]
    finally:
        await connection.close()
    assert tables == 0
    assert postgres_database != postgres_server.url
    assert (zone, encoding, fsync) == ("UTC", "UTF8", "on")
