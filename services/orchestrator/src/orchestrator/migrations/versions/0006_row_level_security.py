"""Row-level security on every table; see the .sql file."""

from pathlib import Path

from mirsal_runtime.migrations import execute_script, guards

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the functions, and run the SQL beside this file."""
    execute_script(guards())
    execute_script(Path(__file__).with_suffix(".sql").read_text("utf-8"))
