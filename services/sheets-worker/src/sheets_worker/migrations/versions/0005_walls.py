"""Whose each row is, and row-level security; see also the .sql file."""

from pathlib import Path

from mirsal_runtime.migrations import execute_script, guards
from mirsal_runtime.postgres_ledger import ledger_walls

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the guards' functions, put up the ledger's walls, and run the SQL beside this file."""
    execute_script(guards())
    execute_script(ledger_walls())
    execute_script(Path(__file__).with_suffix(".sql").read_text("utf-8"))
