"""Migrations: from nothing, again, at once, by a user who may not, and after a roll-back."""

# ruff: noqa: S608 - the names in these statements are the tests' own

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from mirsal_runtime.migrations import MigrationRefused, head_of, migrate
from mirsal_testing.servers.apart import run_apart

FIRST = """
from mirsal_runtime.migrations import execute_script

revision = "0001"
down_revision = None


def upgrade() -> None:
    execute_script(
        "CREATE TABLE things (name text DEFAULT 'a:b % 12:30 \\\\d');"
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS $$ SELECT 1; $$;"
    )
"""
SECOND = """
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE things ADD COLUMN size int")
"""


class Service:
    """A package with migrations, in a folder of its own, and its database."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.name = f"service_{secrets.token_hex(4)}"
        self.versions = folder / self.name / "migrations" / "versions"
        self.versions.mkdir(parents=True)
        (folder / self.name / "__init__.py").touch()
        self.write("0001_begin.py", FIRST)

    def write(self, name: str, text: str) -> None:
        (self.versions / name).write_text(text)

    def migrate(
        self, url: str | None = None, application: str = ""
    ) -> subprocess.CompletedProcess[str]:
        script = (
            "from mirsal_runtime.migrations import migrate;"
            f"migrate('{self.name}', '{self.name}', application='{application}')"
        )
        return subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": str(self.folder), "DATABASE_URL": url or self.url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def fetch(self, sql: str) -> list[tuple[object, ...]]:
        async def run() -> list[tuple[object, ...]]:
            connection = await asyncpg.connect(self.url)
            try:
                return [tuple(row) for row in await connection.fetch(sql)]
            finally:
                await connection.close()

        return run_apart(run())

    def columns(self) -> dict[object, object]:
        rows = self.fetch(
            "SELECT column_name, column_default FROM information_schema.columns"
            f" WHERE table_schema = '{self.name}' AND table_name = 'things'"
        )
        return {row[0]: row[1] for row in rows}

    def revision(self) -> object:
        return self.fetch(f"SELECT version_num FROM {self.name}.alembic_version")[0][0]


@pytest.fixture
def service(tmp_path: Path, module_database: str) -> Iterator[Service]:
    made = Service(tmp_path, module_database)
    yield made
    made.fetch(f"DROP SCHEMA IF EXISTS {made.name} CASCADE")
    made.fetch(f"DROP ROLE IF EXISTS {made.name}")


def test_nothing_becomes_a_schema_of_the_role_s_own(service: Service) -> None:
    assert service.migrate().returncode == 0
    assert service.columns() == {"name": "'a:b % 12:30 \\d'::text"}
    owners = service.fetch(f"SELECT tableowner FROM pg_tables WHERE schemaname = '{service.name}'")
    assert {owner for (owner,) in owners} == {service.name}
    assert service.fetch(f"SELECT rolcanlogin FROM pg_roles WHERE rolname = '{service.name}'") == [
        (False,)
    ]


def test_second_run_finds_nothing_to_do_without_alembic(service: Service) -> None:
    service.migrate()
    script = (
        "import sys; from mirsal_runtime.migrations import migrate;"
        f"migrate('{service.name}', '{service.name}');"
        "assert 'alembic' not in sys.modules and 'sqlalchemy' not in sys.modules"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(service.folder),
        "DATABASE_URL": service.url,
    }
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)


def test_later_revision_follows(service: Service) -> None:
    service.migrate()
    service.write("0002_size.py", SECOND)
    assert service.migrate().returncode == 0
    assert set(service.columns()) == {"name", "size"}
    assert service.revision() == "0002"


def test_jobs_at_once_migrate_once(service: Service) -> None:
    service.write("0002_size.py", SECOND)

    async def run() -> list[int]:
        runs = await asyncio.gather(*(asyncio.to_thread(service.migrate) for _ in range(3)))
        return [each.returncode for each in runs]

    assert run_apart(run()) == [0, 0, 0]
    assert service.revision() == "0002"


def test_database_of_a_newer_release_is_left_alone(service: Service) -> None:
    service.write("0002_size.py", SECOND)
    service.migrate()
    (service.versions / "0002_size.py").unlink()
    assert service.migrate().returncode == 0
    assert service.revision() == "0002"


def test_failed_migration_leaves_nothing_behind(service: Service) -> None:
    service.migrate()
    service.write("0002_size.py", SECOND.replace("size int", "size nonsense"))
    assert service.migrate().returncode == 1
    assert set(service.columns()) == {"name"}
    assert service.revision() == "0001"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("0002_size.py", SECOND.replace('"0002"', '"0003"')),
        ("0003_size.py", SECOND),
        ("0002_size.py", SECOND.replace('down_revision = "0001"', "down_revision = None")),
        ("two.py", SECOND),
    ],
    ids=["revision", "file", "two heads", "no number"],
)
def test_files_that_contradict_themselves_are_refused(
    service: Service, name: str, text: str
) -> None:
    service.migrate()
    service.write(name, text)
    done = service.migrate()
    assert done.returncode == 1
    assert "MigrationRefused" in done.stderr
    assert service.revision() == "0001"


def test_user_who_may_not_create_roles_is_told_what_to_do(service: Service) -> None:
    user = f"user_{secrets.token_hex(4)}"
    service.fetch(f"CREATE ROLE {user} LOGIN PASSWORD 'secret-word'")
    host = service.url.split("@")[1]
    limited = f"postgresql://{user}:secret-word@{host}"
    refused = service.migrate(limited)
    assert refused.returncode == 1
    assert f"CREATE SCHEMA {service.name} AUTHORIZATION {service.name}" in refused.stderr
    assert "secret-word" not in refused.stderr
    service.fetch(f"CREATE ROLE {service.name}")
    service.fetch(f"CREATE SCHEMA {service.name} AUTHORIZATION {service.name}")
    service.fetch(f"GRANT {service.name} TO {user}")
    assert service.migrate(limited).returncode == 0
    assert set(service.columns()) == {"name"}
    service.fetch(f"DROP ROLE {user}")


def test_the_role_that_a_service_acts_as_is_made(service: Service) -> None:
    """Whoever may act as the owner may act as it, so that users of an older release go on."""
    role = f"mirsal_{service.name}"
    assert service.migrate(application=role).returncode == 0
    assert service.fetch(
        "SELECT rolcanlogin, rolbypassrls, pg_has_role"
        f"('{service.name}', oid, 'MEMBER') FROM pg_roles WHERE rolname = '{role}'"
    ) == [(False, False, True)]
    service.write("0002_size.py", SECOND)
    assert service.migrate(application=role).returncode == 0
    service.fetch(f"DROP ROLE {role}")


def test_user_who_may_not_make_that_role_is_told_what_to_do(service: Service) -> None:
    user, role = f"user_{secrets.token_hex(4)}", f"mirsal_{service.name}"
    service.migrate()
    service.write("0002_size.py", SECOND)
    service.fetch(f"CREATE ROLE {user} LOGIN PASSWORD 'secret-word' IN ROLE {service.name}")
    limited = f"postgresql://{user}:secret-word@{service.url.split('@')[1]}"
    refused = service.migrate(limited, application=role)
    assert refused.returncode == 1
    advice = f"CREATE ROLE {role}; GRANT {role} TO {service.name}"
    assert advice in refused.stderr
    assert "secret-word" not in refused.stderr
    for statement in advice.split(";"):
        service.fetch(statement)
    assert service.migrate(limited, application=role).returncode == 0
    assert service.revision() == "0002"
    for name in (user, role):
        service.fetch(f"DROP ROLE {name}")


def test_names_of_roles_and_packages_are_checked() -> None:
    with pytest.raises(MigrationRefused, match="no name for a role"):
        migrate("mirsal_runtime", "a; DROP TABLE runs")
    with pytest.raises(MigrationRefused, match="no package"):
        migrate("no_such_package", "nobody")


def test_head_is_the_highest_number(tmp_path: Path) -> None:
    for name in ("0002_b.py", "0010_c.py", "0001_a.py", "__init__.py"):
        (tmp_path / name).touch()
    assert head_of(tmp_path) == "0010"
