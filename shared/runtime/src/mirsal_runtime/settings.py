"""The settings that every process has; a service's own settings stay in the service."""

from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class RuntimeSettings(BaseSettings):
    """Read from the environment. `MIRSAL_` precedes all names but the three server URLs.

    `instance` names the process among its siblings and stays the same across its restarts
    (`whatsapp-worker-1`, a pod's name): it is the process's membership in its consumer group and
    the owner of its journal in `state_dir`.
    """

    model_config = SettingsConfigDict(env_prefix="MIRSAL_", populate_by_name=True, extra="ignore")

    kafka_bootstrap_servers: str = Field(
        default="127.0.0.1:9092", validation_alias=AliasChoices("KAFKA_BOOTSTRAP_SERVERS")
    )
    database_url: SecretStr = Field(
        default=SecretStr("postgresql://postgres@127.0.0.1:5432/mirsal"),
        validation_alias=AliasChoices("DATABASE_URL"),
    )
    redis_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"), validation_alias=AliasChoices("REDIS_URL")
    )
    topic_prefix: str = ""
    topic_replication: int | None = None
    instance: str = "local-1"
    state_dir: Path = Path(".mirsal")
    health_host: str = "127.0.0.1"
    health_port: int = 0
    log_level: str = "INFO"
    otlp_endpoint: str | None = Field(
        default=None, validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT")
    )
