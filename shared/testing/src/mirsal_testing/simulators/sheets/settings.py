"""Settings of the Sheets simulator as a process, read from MIRSAL_SIMULATOR_SHEETS_*."""

from __future__ import annotations

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from mirsal_testing.simulators.sheets.quota import QuotaLimits
from mirsal_testing.simulators.sheets.simulator import SheetsSimulator


class SheetsSimulatorSettings(BaseSettings):
    """Port 0 takes a free one. Tokens are comma-separated; `quota` switches Google's on.

    With `makes_spreadsheets`, every spreadsheet id exists from its first call on.
    """

    model_config = SettingsConfigDict(env_prefix="MIRSAL_SIMULATOR_SHEETS_")

    host: str = "127.0.0.1"
    port: int = 0
    tokens: str = ""
    makes_spreadsheets: bool = True
    credentials_file: Path | None = None
    quota: bool = False
    delay_ms: int = 0
    keep: int = 0
    keepalive_seconds: float = 75.0
    seed: int = 0

    def make_simulator(self) -> SheetsSimulator:
        return SheetsSimulator(
            host=self.host,
            port=self.port,
            tokens=[part.strip() for part in self.tokens.split(",") if part.strip()],
            makes_spreadsheets=self.makes_spreadsheets,
            credentials_file=self.credentials_file,
            quota=QuotaLimits() if self.quota else None,
            delay_ms=self.delay_ms,
            keep=self.keep,
            keepalive_seconds=self.keepalive_seconds,
            seed=self.seed,
        )
