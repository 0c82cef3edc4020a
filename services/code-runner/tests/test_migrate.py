"""The schema from nothing, by the command that a deployment runs."""

import asyncio
import os
import sys

import asyncpg


async def test_migrating_makes_the_ledger_and_may_be_repeated(postgres_database: str) -> None:
    for _ in range(2):
        job = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "code_runner.migrate",
            env={**os.environ, "DATABASE_URL": postgres_database},
        )
        assert await asyncio.wait_for(job.wait(), 60) == 0
    connection = await asyncpg.connect(postgres_database)
    try:
        owner = await connection.fetchval(
            "SELECT tableowner FROM pg_tables WHERE schemaname = $1 AND tablename = 'ledger'",
            "code_runner",
        )
    finally:
        await connection.close()
    assert owner == "code_runner"
