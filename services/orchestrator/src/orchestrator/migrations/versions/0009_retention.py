"""Runs that ended long ago may be removed; see the .sql file."""

from pathlib import Path

from mirsal_runtime.migrations import execute_script

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Run the SQL beside this file."""
    execute_script(Path(__file__).with_suffix(".sql").read_text("utf-8"))
