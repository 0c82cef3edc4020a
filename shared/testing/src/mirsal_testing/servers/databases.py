"""Making and removing databases of a PostgreSQL server, embedded or not."""

from __future__ import annotations

from importlib.resources import files
from urllib.parse import quote, urlsplit

import asyncpg

_PACKAGE = files("mirsal_testing.servers")
_CREATE = (_PACKAGE / "create_database.sql").read_text(encoding="utf-8")
_DROP = (_PACKAGE / "drop_database.sql").read_text(encoding="utf-8")
_SECONDS = 30


async def create_database(url: str, name: str) -> None:
    """Makes an empty database if there is none of that name; `url` is one that may."""
    try:
        await _run(url, _CREATE, name)
    except asyncpg.DuplicateDatabaseError:
        return


async def drop_database(url: str, name: str) -> None:
    """Removes a database, ending the sessions that it still has; `url` is one that may."""
    await _run(url, _DROP, name)


async def _run(url: str, statement_for: str, name: str) -> None:
    connection = await asyncpg.connect(url, timeout=_SECONDS)
    try:
        statement = await connection.fetchval(statement_for, name, timeout=_SECONDS)
        await connection.execute(statement, timeout=_SECONDS)
    finally:
        connection.terminate()


def with_database(url: str, name: str) -> str:
    """The same server and login, another database."""
    return urlsplit(url)._replace(path=f"/{quote(name)}").geturl()
