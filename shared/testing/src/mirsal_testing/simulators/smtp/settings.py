"""Settings of the SMTP simulator as a process, read from the environment."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from mirsal_testing.simulators.smtp.simulator import SmtpSimulator


class SmtpSimulatorSettings(BaseSettings):
    """MIRSAL_SIMULATOR_SMTP_*, and MIRSAL_SIMULATOR_INBOX_PORT. Port 0 takes a free one."""

    model_config = SettingsConfigDict(env_prefix="MIRSAL_SIMULATOR_SMTP_", populate_by_name=True)

    host: str = "127.0.0.1"
    port: int = 0
    inbox_port: int = Field(default=0, validation_alias="MIRSAL_SIMULATOR_INBOX_PORT")
    delay_ms: int = 0
    keep: int = 0
    idle_seconds: float = 300.0
    seed: int = 0

    def make_simulator(self) -> SmtpSimulator:
        return SmtpSimulator(
            host=self.host,
            port=self.port,
            inbox_port=self.inbox_port,
            delay_ms=self.delay_ms,
            keep=self.keep,
            idle_seconds=self.idle_seconds,
            seed=self.seed,
        )
