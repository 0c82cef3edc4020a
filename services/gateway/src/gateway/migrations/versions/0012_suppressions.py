"""Whom workspaces may write to: lists of addresses, and policies; see the .sql file."""

from pathlib import Path

from mirsal_runtime.migrations import execute_script

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Run the SQL beside this file."""
    execute_script(Path(__file__).with_suffix(".sql").read_text("utf-8"))
