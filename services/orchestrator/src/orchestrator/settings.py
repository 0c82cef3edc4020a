"""The orchestrator's own settings."""

from datetime import timedelta

from mirsal_runtime.settings import RuntimeSettings
from pydantic import Field


class OrchestratorSettings(RuntimeSettings):
    """Read from the environment, with `MIRSAL_` before each name.

    `command_seconds` is how long an attempt may be begun after it was asked for;
    `batch_records` how many records one transaction takes at most; `lanes` how many batches,
    each of other partitions, are under way at the same time. `unclaimed_letters_to` is the
    workspace that sees the dead letters whose headers name none; empty: nobody, over REST.
    `retention_days` after their end runs are removed, unset: never. Not earlier than Kafka has
    forgotten all that was about them, which takes 30 days.
    """

    command_seconds: float = Field(default=600, ge=1)
    batch_records: int = Field(default=500, ge=1)
    unclaimed_letters_to: str = ""
    retention_days: int | None = Field(default=None, ge=31, le=36_500)
    lanes: int = Field(default=2, ge=1, le=4)

    @property
    def kept(self) -> timedelta | None:
        """How long a run is kept after its end; None: for ever."""
        return None if self.retention_days is None else timedelta(days=self.retention_days)
