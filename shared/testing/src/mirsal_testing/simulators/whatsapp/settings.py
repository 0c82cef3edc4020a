"""Settings of the WhatsApp simulator as a process, read from MIRSAL_SIMULATOR_WHATSAPP_*."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict

from mirsal_testing.simulators.whatsapp.simulator import WhatsAppSimulator


class WhatsAppSimulatorSettings(BaseSettings):
    """Port 0 takes a free one. Tokens and ids are comma-separated; empty knows every one."""

    model_config = SettingsConfigDict(env_prefix="MIRSAL_SIMULATOR_WHATSAPP_")

    host: str = "127.0.0.1"
    port: int = 0
    delay_ms: int = 0
    tokens: str = ""
    phone_number_ids: str = ""
    keep: int = 0
    keepalive_seconds: float = 75.0
    seed: int = 0

    def make_simulator(self) -> WhatsAppSimulator:
        return WhatsAppSimulator(
            host=self.host,
            port=self.port,
            delay_ms=self.delay_ms,
            tokens=split(self.tokens),
            phone_number_ids=split(self.phone_number_ids),
            keep=self.keep,
            keepalive_seconds=self.keepalive_seconds,
            seed=self.seed,
        )


def split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
