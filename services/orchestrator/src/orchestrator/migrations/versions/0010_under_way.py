"""Gateways may count the runs that are under way; see the .sql file."""

from pathlib import Path

from mirsal_runtime.migrations import execute_script

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Run the SQL beside this file."""
    execute_script(Path(__file__).with_suffix(".sql").read_text("utf-8"))
