"""Row-level security; the service owns nothing any more. See the .sql file."""

from pathlib import Path

from mirsal_runtime.migrations import execute_script, guards

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the guards' functions, and run the SQL beside this file."""
    execute_script(guards())
    execute_script(Path(__file__).with_suffix(".sql").read_text("utf-8"))
