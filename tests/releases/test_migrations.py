"""New migrations leave the release before able to work, and what was released stays as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import mirsal_testing.releases.migrate_all
import pytest
from mirsal_testing.releases.keeping import hashes_of_migrations
from mirsal_testing.releases.kept import last_release
from mirsal_testing.releases.migration_rules import broken_rules
from mirsal_testing.releases.old_queries import Statement, refusals, statements_of
from mirsal_testing.releases.source import Checkout, unpack
from mirsal_testing.releases.versions import services_of

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
RELEASED: Mapping[str, str] = last_release().migrations()
NOW = hashes_of_migrations(ROOT)
NEW = sorted(NOW.keys() - RELEASED.keys())
SERVICES = services_of(ROOT)
MIGRATION_SECONDS = 90


def test_released_migrations_are_never_changed() -> None:
    """Whoever has run one does not run it again: add another."""
    assert {path: NOW.get(path) for path in RELEASED} == RELEASED


def test_new_migrations_leave_the_release_before_at_work() -> None:
    faults = {path: broken_rules((ROOT / path).read_text("utf-8")) for path in NEW}
    assert {path: found for path, found in faults.items() if found} == {}


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("ALTER TABLE runs DROP COLUMN error;", "drops"),
        ("DROP VIEW published_runs;", "drops"),
        ("ALTER TABLE runs RENAME COLUMN error TO fault;", "renames"),
        ("ALTER TABLE runs ALTER COLUMN revision TYPE bigint;", "changes a column's type"),
        ("ALTER TABLE runs ALTER revision SET DATA TYPE bigint;", "changes a column's type"),
        ("ALTER TABLE runs ADD COLUMN sealed bytea NOT NULL;", "wants a value"),
        ("ALTER TABLE runs\n  ADD COLUMN a int DEFAULT 1,\n  ADD COLUMN b int NOT NULL;", "wants"),
        ("ALTER TABLE runs ALTER COLUMN error SET NOT NULL;", "wants a value"),
        ("ALTER TABLE runs ADD CONSTRAINT c CHECK (revision > 0);", "forbids rows"),
        ("CREATE UNIQUE INDEX one ON runs (lead_id);", "forbids rows"),
        ("op.drop_column('runs', 'error')", "drops"),
        ("REVOKE SELECT ON runs FROM mirsal_gateway;", "takes away"),
        ("TRUNCATE runs;", "empties"),
        ("-- contract: no\nDROP TABLE runs;", "drops"),
    ],
)
def test_what_breaks_the_release_before_is_found(sql: str, fault: str) -> None:
    assert any(each.startswith(fault) for each in broken_rules(sql)), broken_rules(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE keys (id uuid PRIMARY KEY, name text NOT NULL); "
        "ALTER TABLE keys ADD CONSTRAINT c CHECK (name <> '');"
        "CREATE UNIQUE INDEX one ON keys (name);",
        "ALTER TABLE runs ADD COLUMN sealed bytea;",
        "ALTER TABLE runs ADD COLUMN n int NOT NULL DEFAULT 0;",
        "-- We will DROP TABLE runs one day.\nCOMMENT ON TABLE runs IS 'DROP TABLE; RENAME';",
        "-- contract: 0.2.0 does not read it any more\nALTER TABLE runs DROP COLUMN error;",
    ],
)
def test_what_only_adds_is_no_fault(sql: str) -> None:
    assert broken_rules(sql) == []


def migrate_with(url: str, folder: Path | None) -> None:
    """Run every service's migrations, with the packages in `folder` or this version's."""
    environment = {**os.environ, "DATABASE_URL": url}
    if folder is not None:
        environment |= Checkout(folder, Path(sys.executable)).environment
    subprocess.run(
        [sys.executable, mirsal_testing.releases.migrate_all.__file__]
        + [name.replace("-", "_") for name in SERVICES],
        env=environment,
        check=True,
        timeout=MIGRATION_SECONDS,
    )


# A few seconds of work, but three processes that import much: time for a machine that is busy.
@pytest.mark.timeout(300)
async def test_the_release_before_runs_on_the_new_schema(postgres_database: str) -> None:
    """Each of its statements, with the rights of its roles; a roll back leaves the schema."""
    folder = unpack(last_release())
    migrate_with(postgres_database, folder)
    statements = statements_of(folder, SERVICES)
    never = await refusals(postgres_database, statements)
    worked = [statement for statement in statements if statement not in never]
    assert len(worked) > 300
    migrate_with(postgres_database, None)
    assert await said_refusals(postgres_database, worked) == []
    migrate_with(postgres_database, folder)

    # What the test is for: a column that goes away is missed.
    owner = await asyncpg.connect(postgres_database)
    await owner.execute("ALTER TABLE orchestrator.runs DROP COLUMN error CASCADE")
    await owner.close()
    readers = [each for each in worked if each.session.schema in {"gateway", "orchestrator"}]
    missed = await said_refusals(postgres_database, readers)
    assert any("orchestrator/store/queries.sql" in each for each in missed)
    assert any("gateway" in each for each in missed)


async def said_refusals(url: str, statements: list[Statement]) -> list[str]:
    found = await refusals(url, statements)
    return [f"{each.session.role}, {each.place}: {reason}" for each, reason in found.items()]
