"""The SQL of a release's services, and whether a database still takes it as they send it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)
_SHARED = "shared/runtime/src"


class Session(NamedTuple):
    """Whom a service's sessions act as, and in which schema."""

    role: str
    schema: str


class Statement(NamedTuple):
    """One named statement of a `.sql` file, as one service sends it."""

    session: Session
    place: str
    sql: str


def sessions_of(service: str) -> tuple[Session, ...]:
    """Whom a service may act as: a role that owns nothing, before that the owner."""
    schema = service.replace("-", "_")
    return Session(f"mirsal_{schema}", schema), Session(schema, schema)


def statements_of(root: Path, services: Iterable[str]) -> list[Statement]:
    """All statements below `root` of these services, as each of their roles.

    Those of the runtime are every service's.
    """
    return [
        statement
        for service in services
        for session in sessions_of(service)
        for folder in (root / "services" / service / "src", root / _SHARED)
        for path in sorted(folder.rglob("*.sql"))
        if "migrations" not in path.parts
        for statement in _statements(path, path.relative_to(root).as_posix(), session)
    ]


def _statements(path: Path, place: str, session: Session) -> list[Statement]:
    parts = _NAME.split(path.read_text("utf-8"))
    named = zip(parts[1::2], parts[2::2], strict=True)
    return [Statement(session, f"{place}: {name}", body.strip()) for name, body in named]


async def refusals(url: str, statements: list[Statement]) -> dict[Statement, str]:
    """Which of them the database does not plan, and why: a name, a type or a right is missing.

    Nothing is executed.
    """
    found: dict[Statement, str] = {}
    for session in {statement.session for statement in statements}:
        own = [statement for statement in statements if statement.session == session]
        settings = {"role": session.role, "search_path": session.schema}
        try:
            connection = await asyncpg.connect(url, server_settings=settings)
        except asyncpg.InvalidParameterValueError as error:
            found |= dict.fromkeys(own, str(error))
            continue
        try:
            for statement in own:
                reason = await _refusal(connection, statement.sql)
                if reason:
                    found[statement] = reason
        finally:
            await connection.close()
    return found


async def _refusal(connection: asyncpg.Connection[asyncpg.Record], sql: str) -> str:
    try:
        await connection.execute(f"EXPLAIN (GENERIC_PLAN) {sql}")
    except asyncpg.PostgresError as error:
        return str(error)
    return ""
