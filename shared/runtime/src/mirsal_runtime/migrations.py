"""Brings a service's schema up to date: its role, its schema, its alembic scripts."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import asyncpg
import structlog

from mirsal_runtime.log_faults import Told, name_fault
from mirsal_runtime.queries import load_queries
from mirsal_runtime.settings import RuntimeSettings

START_SECONDS = 30.0
LOCK_SECONDS = 120.0
MIGRATION_SECONDS = 1800.0

log = structlog.get_logger(__name__)

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
_SQL = load_queries("mirsal_runtime", "migrations.sql")
_ROLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_REVISION = re.compile(r"(\d{4})_\w+\.py")
_NOT_YET = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.TooManyConnectionsError,
)


class MigrationRefused(Told):
    """The database is not as the migration needs it; the text says what to do."""


def migrate(service_package: str, role: str, *, application: str = "") -> None:
    """Create `role` and its schema where they are missing, and run the package's migrations.

    `application` is the role that the service's sessions take, if they do not take the owner's;
    users who were granted `role` may take it, too.

    The scripts are `<service_package>/migrations/versions/NNNN_<what>.py`, revision `NNNN`, run
    as the role. Reads `DATABASE_URL`; waits up to 30 s for a database that is starting. Safe to
    run from several jobs at once, and cheap when there is nothing to do. A database that a newer
    release has migrated further is left as it is. Raises `MigrationRefused`.
    """
    for name in (role, application or role):
        if not _ROLE.fullmatch(name):
            raise MigrationRefused(f"{name!r} is no name for a role: use a-z, 0-9 and _")
    versions = _versions_of(service_package)
    asyncio.run(_migrate(versions, role, application))


def guards() -> str:
    """Functions for row-level security, for a migration to make in its service's schema."""
    return load_queries("mirsal_runtime", "guards.sql")["functions"]


def roles() -> str:
    """The function `have_role`, for a migration to make in its service's schema."""
    return load_queries("mirsal_runtime", "guards_roles.sql")["roles"]


def execute_script(sql: str) -> None:
    """Within a migration: run SQL of any number of statements, as it stands.

    Alembic makes four spaces of each tab.
    """
    from alembic import op
    from sqlalchemy import text

    op.execute(text(sql.replace(":", "\\:")))


def head_of(versions: Path) -> str:
    """The newest revision, by the names of the files. Raises `MigrationRefused` if none fits."""
    names = sorted(path.name for path in versions.glob("*.py") if path.name != "__init__.py")
    strangers = [name for name in names if not _REVISION.fullmatch(name)]
    if strangers or not names:
        raise MigrationRefused(
            f"migrations are named NNNN_<what>.py; found {', '.join(strangers) or 'none'}"
        )
    return names[-1][:4]


def _versions_of(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MigrationRefused(f"there is no package {package!r}")
    return Path(spec.submodule_search_locations[0]) / "migrations" / "versions"


async def _migrate(versions: Path, role: str, application: str) -> None:
    head = head_of(versions)
    url = RuntimeSettings().database_url.get_secret_value()
    connection = await _connect(url)
    try:
        # A revision later than ours is a newer release's: this one was rolled back to.
        if (await _read_revision(connection, role) or "") >= head:
            return
        async with _locked(connection, role):
            async with _locked(connection, "*"):
                await _prepare(connection, role)
                if application:
                    await _prepare_application(connection, role, application)
            current = await _read_revision(connection, role)
            if (current or "") < head:
                await _upgrade(url, versions, role, current, head)
    finally:
        await connection.close(timeout=5)
    log.info("migrated", role=role, revision=head)


async def _connect(url: str) -> Connection:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return await asyncpg.connect(
                url,
                timeout=5,
                server_settings={"lock_timeout": str(int(LOCK_SECONDS * 1000))},
            )
        except _NOT_YET as error:
            if time.monotonic() > deadline:
                raise MigrationRefused(
                    f"the PostgreSQL of DATABASE_URL did not answer within {START_SECONDS:g} s: "
                    f"{name_fault(error)}"
                ) from error
            await asyncio.sleep(0.1)


@asynccontextmanager
async def _locked(connection: Connection, what: str) -> AsyncIterator[None]:
    await connection.execute(_SQL["lock"], what)
    try:
        yield
    finally:
        await connection.execute(_SQL["unlock"], what)


async def _read_revision(connection: Connection, role: str) -> str | None:
    standing = await connection.fetchrow(_SQL["read_standing"], role)
    if standing is None or not (standing["is_member"] and standing["has_version"]):
        return None
    found = await connection.fetchval(await _written(connection, "read_version", role))
    return None if found is None else str(found)


async def _prepare(connection: Connection, role: str) -> None:
    standing = await connection.fetchrow(_SQL["read_standing"], role)
    if standing is None:
        raise MigrationRefused("PostgreSQL did not say what it has")
    if not standing["has_role"]:
        await _attempt(connection, "create_role", role, "create the role")
    if not standing["is_member"] or not standing["has_role"]:
        await _attempt(connection, "grant_role", role, "grant the role to this user")
    if not standing["has_schema"]:
        await _attempt(connection, "create_schema", role, "create the schema")
    elif not standing["owns_schema"]:
        await _attempt(connection, "give_schema", role, "give the schema to its role")


async def _prepare_application(connection: Connection, role: str, application: str) -> None:
    if await connection.fetchval(_SQL["may_take"], role, application):
        return
    try:
        standing = await connection.fetchrow(_SQL["read_standing"], application)
        if standing is None or not standing["has_role"]:
            # Another service's migration that grants something to the role may make it, too.
            with suppress(asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
                await connection.execute(await _written(connection, "create_role", application))
        grant = await connection.fetchval(_SQL["write_grant_application"], role, application)
        await connection.execute(str(grant))
    except asyncpg.InsufficientPrivilegeError as error:
        raise MigrationRefused(
            f"this user of DATABASE_URL may not make the role {application!r}: {error}. Let "
            f"somebody who may run: CREATE ROLE {application}; GRANT {application} TO {role}"
        ) from error


async def _attempt(connection: Connection, statement: str, role: str, what: str) -> None:
    try:
        await connection.execute(await _written(connection, statement, role))
    except asyncpg.InsufficientPrivilegeError as error:
        raise MigrationRefused(
            f"this user of DATABASE_URL may not {what} {role!r}: {error}. Let somebody who may "
            f"run: CREATE ROLE {role}; CREATE SCHEMA {role} AUTHORIZATION {role}; "
            f"GRANT {role} TO <this user>"
        ) from error


async def _written(connection: Connection, statement: str, role: str) -> str:
    return str(await connection.fetchval(_SQL[f"write_{statement}"], role))


async def _upgrade(url: str, versions: Path, role: str, current: str | None, head: str) -> None:
    # Alembic takes half a second to import: only who migrates pays for it.
    from mirsal_runtime.alembic_run import write_upgrade

    script = write_upgrade(versions, role, current, head)
    connection = await asyncpg.connect(
        url, timeout=5, server_settings={"role": role, "search_path": role}
    )
    try:
        await connection.execute(script, timeout=MIGRATION_SECONDS)
    finally:
        await connection.close(timeout=5)
