"""Runs are read by the role that the webhook worker acts as; see the .sql file."""

from pathlib import Path

from mirsal_runtime.migrations import execute_script, roles

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the function, and run the SQL beside this file."""
    execute_script(roles())
    execute_script(Path(__file__).with_suffix(".sql").read_text("utf-8"))
