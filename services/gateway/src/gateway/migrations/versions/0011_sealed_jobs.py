"""What jobs keep sealed, and what imports leave out; see the .sql file."""

from pathlib import Path

from mirsal_runtime.migrations import execute_script

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Run the SQL beside this file."""
    execute_script(Path(__file__).with_suffix(".sql").read_text("utf-8"))
