"""Credentials, the data keys of workspaces, and what connectors see of them; see the .sql file."""

from pathlib import Path

from mirsal_runtime.migrations import execute_script

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run the SQL beside this file."""
    execute_script(Path(__file__).with_suffix(".sql").read_text("utf-8"))
