"""The orchestrator's own settings."""

from mirsal_runtime.settings import RuntimeSettings
from pydantic import Field


class OrchestratorSettings(RuntimeSettings):
    """Read from the environment, with `MIRSAL_` before each name.

    `command_seconds` is how long an attempt may be begun after it was asked for;
    `batch_records` how many records one transaction takes at most; `lanes` how many batches,
    each of other partitions, are under way at the same time. `unclaimed_letters_to` is the
    workspace that sees the dead letters whose headers name none; empty: nobody, over REST.
    """

    command_seconds: float = Field(default=600, ge=1)
    batch_records: int = Field(default=500, ge=1)
    unclaimed_letters_to: str = ""
    lanes: int = Field(default=2, ge=1, le=4)
