"""What a deployment does to a connector's database, and whose the ledger is afterwards."""

import asyncio
import os
import sys

import asyncpg

MIGRATION_SECONDS = 60.0
_OWNER = "SELECT tableowner FROM pg_tables WHERE schemaname = $1 AND tablename = 'ledger'"


async def migrate_twice(package: str, database_url: str) -> str | None:
    """Run `python -m <package>.migrate` two times; the owner of the ledger in its schema.

    The schema has the package's name. Raises `AssertionError` if a run fails.
    """
    for _ in range(2):
        job = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", f"{package}.migrate"),
            env={**os.environ, "DATABASE_URL": database_url},
        )
        async with asyncio.timeout(MIGRATION_SECONDS):
            code = await job.wait()
        if code != 0:
            raise AssertionError(f"{package}.migrate ended with {code}")
    connection = await asyncpg.connect(database_url)
    try:
        owner: str | None = await connection.fetchval(_OWNER, package)
    finally:
        await connection.close()
    return owner
