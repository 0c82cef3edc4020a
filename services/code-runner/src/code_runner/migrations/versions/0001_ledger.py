"""The ledger, as the runtime defines it: who may have an effect, and what became of it."""

from mirsal_runtime.migrations import execute_script
from mirsal_runtime.postgres_ledger import ledger_schema

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the ledger's tables."""
    execute_script(ledger_schema())
