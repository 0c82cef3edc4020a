"""Runs alembic's scripts over asyncpg. Imported only when there is something to migrate."""

import tempfile
from pathlib import Path

import asyncpg
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from mirsal_runtime.migrations import MigrationRefused


async def upgrade(url: str, versions: Path, role: str, head: str) -> None:
    """Bring the schema `role` to `head`, acting as `role`, in one transaction."""

    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(
            url, timeout=5, server_settings={"role": role, "search_path": role}
        )

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_run, versions, role, head)
            await connection.commit()
    finally:
        await engine.dispose()


def _run(connection: Connection, versions: Path, role: str, head: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "env.py").write_text(_ENVIRONMENT, "utf-8")
        script = ScriptDirectory(folder, version_locations=[versions])
        heads = script.get_heads()
        if heads != [head]:
            raise MigrationRefused(
                f"the newest file of {versions.name} says {head}, its revisions say {heads}: "
                "file name, revision and down_revision must agree"
            )

        def steps(revision: object, _context: object) -> list[MigrationStep]:
            return list(script._upgrade_revs(head, revision))  # type: ignore[arg-type]

        with EnvironmentContext(Config(), script, fn=steps, destination_rev=head) as environment:
            environment.configure(
                connection=connection,
                version_table="alembic_version",
                version_table_schema=role,
            )
            with environment.begin_transaction():
                environment.run_migrations()


_ENVIRONMENT = '"""Not run: the environment is set up by mirsal_runtime.alembic_run."""\n'
