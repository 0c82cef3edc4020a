"""What alembic's scripts come to, as one SQL script. Imported only when there is something to do.

Alembic's offline mode: no engine and no driver of SQLAlchemy's is involved, so a migration is
plain SQL of any number of statements, and cannot read the database.
"""

import io
import tempfile
from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import ScriptDirectory

from mirsal_runtime.migrations import MigrationRefused

_ENVIRONMENT = '"""Not run: the environment is set up by mirsal_runtime.alembic_run."""\n'


def write_upgrade(versions: Path, role: str, current: str | None, head: str) -> str:
    """The statements from revision `current` (None: from nothing) to `head`, in one transaction.

    Raises `MigrationRefused` when the files' names and their revisions do not agree.
    """
    output = io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "env.py").write_text(_ENVIRONMENT, "utf-8")
        script = ScriptDirectory(folder, version_locations=[versions])
        _check_names(script, head)

        def steps(revision: str | None, _context: MigrationContext) -> list[MigrationStep]:
            return list(script._upgrade_revs(head, revision))  # type: ignore[arg-type] # takes None

        with EnvironmentContext(
            Config(), script, fn=steps, as_sql=True, starting_rev=current, destination_rev=head
        ) as environment:
            environment.configure(
                dialect_name="postgresql+asyncpg",
                # Other styles of parameters double each % of the SQL.
                dialect_opts={"paramstyle": "named"},
                output_buffer=output,
                version_table="alembic_version",
                version_table_schema=role,
            )
            with environment.begin_transaction():
                environment.run_migrations()
    return output.getvalue()


def _check_names(script: ScriptDirectory, head: str) -> None:
    found = {Path(each.path).name[:4]: each.revision for each in script.walk_revisions()}
    wrong = [
        f"{name} is revision {revision}" for name, revision in found.items() if name != revision
    ]
    if wrong or script.get_heads() != [head]:
        raise MigrationRefused(
            f"the files' names and their revisions do not agree: heads {script.get_heads()}, "
            f"newest file {head}; {'; '.join(wrong)}"
        )
