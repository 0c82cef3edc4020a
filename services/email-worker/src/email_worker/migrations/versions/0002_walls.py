"""Whose each row is, and row-level security: the service owns nothing any more."""

from mirsal_runtime.migrations import execute_script, guards
from mirsal_runtime.postgres_ledger import ledger_walls

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the guards' functions, and put up the ledger's walls."""
    execute_script(guards())
    execute_script(ledger_walls())
