"""Settings of the BigQuery simulator as a process, read from MIRSAL_SIMULATOR_BIGQUERY_*."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from mirsal_testing.simulators.bigquery.simulator import BigQuerySimulator
from mirsal_testing.simulators.bigquery.tables import Behaviour


class BigQuerySimulatorSettings(BaseSettings):
    """Port 0 takes a free one. Lags and the memory of insertIds in seconds, as `Behaviour` has."""

    model_config = SettingsConfigDict(env_prefix="MIRSAL_SIMULATOR_BIGQUERY_")

    host: str = "127.0.0.1"
    port: int = 0
    delay_ms: int = 0
    dedupe_seconds: float = 60.0
    table_lag_seconds: float = 0.0
    column_lag_seconds: float = 0.0
    keep: int = 0
    seed: int = 0

    def make_simulator(self) -> BigQuerySimulator:
        state = os.environ.get("MIRSAL_STATE_DIR")
        return BigQuerySimulator(
            host=self.host,
            port=self.port,
            folder=Path(state) / "logs" if state else Path(tempfile.mkdtemp(prefix="bigquery-")),
            behaviour=Behaviour(
                dedupe_seconds=self.dedupe_seconds,
                table_lag_seconds=self.table_lag_seconds,
                column_lag_seconds=self.column_lag_seconds,
            ),
            delay_ms=self.delay_ms,
            keep=self.keep,
            seed=self.seed,
        )
