"""How many recipients each workspace had today, as the runtime counts them."""

from mirsal_runtime.daily_cap import daily_cap_schema
from mirsal_runtime.migrations import execute_script

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    execute_script(daily_cap_schema())
