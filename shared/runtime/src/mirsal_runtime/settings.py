"""The settings that every process has; a service's own settings stay in the service."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Self

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mirsal_runtime.outbound_rules import OutboundRules
from mirsal_runtime.plaintext import (
    http_fault,
    kafka_fault,
    postgres_fault,
    redis_fault,
    refuse_plaintext,
)
from mirsal_runtime.setting_faults import refuse_unreadable

TELEMETRY_KEY_LENGTH = 16
MOST_RECIPIENTS = 1_000_000_000


class RuntimeSettings(BaseSettings):
    """Read from the environment. `MIRSAL_` precedes all names but the three server URLs.

    `instance` names the process among its siblings and stays the same across its restarts
    (`whatsapp-worker-1`, a pod's name): it is the process's membership in its consumer group and
    the owner of its journal in `state_dir`.

    `leave_group`: whether a process that ends leaves its consumer group at once. It need not
    where one of the same name comes back within seconds (a pod of a StatefulSet, `make up`): that
    one takes its place without a rebalance. Where names change (a Deployment) it should.

    With `kafka_ca_file` Kafka is spoken to by TLS, and with a certificate and its key (PEM) as
    whom that names; without it in plain text. Beyond this machine nothing is spoken to without
    TLS that checks who answers, but with `allow_plaintext`: `PlaintextRefused`.

    `metrics_workflows` and `metrics_workspaces`: how many workflows and workspaces have series of
    their own; those that come later share one, `_other`.

    `trace_ratio` is what part of the traces that begin here is recorded; `telemetry_key`, which
    all processes of an installation share, hides leads in them behind pseudonyms; without it they
    are not named at all. It may lie in a file, `telemetry_key_file`. `log_level_file` is a file
    whose word replaces `log_level` while the process runs. See docs/TELEMETRY.md.
    """

    # What is wrong is said without what it was: it may be a secret, and ends in the log.
    model_config = SettingsConfigDict(
        env_prefix="MIRSAL_", populate_by_name=True, extra="ignore", hide_input_in_errors=True
    )

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
    kafka_ca_file: Path | None = None
    kafka_certificate_file: Path | None = None
    kafka_key_file: Path | None = None
    allow_plaintext: bool = False
    topic_prefix: str = ""
    topic_replication: int | None = None
    instance: str = "local-1"
    leave_group: bool = False
    state_dir: Path = Path(".mirsal")
    health_host: str = "127.0.0.1"
    health_port: int = 0
    log_level: str = "INFO"
    log_level_file: Path | None = None
    trace_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    telemetry_key: Annotated[SecretStr, Field(min_length=TELEMETRY_KEY_LENGTH)] | None = None
    telemetry_key_file: Path | None = None
    metrics_workflows: Annotated[int, Field(ge=1)] = 500
    metrics_workspaces: Annotated[int, Field(ge=1)] = 100
    otlp_endpoint: str | None = Field(
        default=None, validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT")
    )
    otlp_headers: SecretStr = Field(
        default=SecretStr(""), validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_HEADERS")
    )

    @model_validator(mode="after")
    def _read_telemetry_key(self) -> Self:
        if self.telemetry_key is None and self.telemetry_key_file is not None:
            try:
                key = self.telemetry_key_file.read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError):
                raise ValueError("MIRSAL_TELEMETRY_KEY_FILE cannot be read") from None
            if len(key) < TELEMETRY_KEY_LENGTH:
                raise ValueError(f"MIRSAL_TELEMETRY_KEY_FILE holds no {TELEMETRY_KEY_LENGTH} signs")
            self.telemetry_key = SecretStr(key)
        return self

    @model_validator(mode="after")
    def _has_whole_certificate(self) -> Self:
        if (self.kafka_certificate_file is None) != (self.kafka_key_file is None):
            raise ValueError("give MIRSAL_KAFKA_CERTIFICATE_FILE and _KEY_FILE together")
        if self.kafka_certificate_file is not None and self.kafka_ca_file is None:
            raise ValueError(
                "a certificate needs MIRSAL_KAFKA_CA_FILE: plain text would not use it"
            )
        return self

    @model_validator(mode="after")
    def _is_protected(self) -> Self:
        refuse_unreadable(
            database_url=self.database_url.get_secret_value(),
            redis_url=self.redis_url.get_secret_value(),
        )
        endpoint = self.otlp_endpoint if self.otlp_headers.get_secret_value() else None
        refuse_plaintext(
            kafka_fault(self.kafka_bootstrap_servers, has_authority=self.kafka_ca_file is not None),
            postgres_fault(self.database_url.get_secret_value()),
            redis_fault(self.redis_url.get_secret_value()),
            http_fault("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint or ""),
            is_allowed=self.allow_plaintext,
        )
        return self


class ConnectorSettings(RuntimeSettings):
    """What a connector's process has besides.

    `slots`: attempts in flight at a time, of one workspace no more than `workspace_slots`; no
    more than `workspace_backlog` of its commands wait here, others come back later. `window`:
    records that may be open beyond the committed offset. `dead_letter_limit`: so many unreadable
    records in a row end the reading. `daily_recipients`: how many recipients workspaces may have
    a day, as in `{"*": 1000, "acme": 50}`; `*` are those that are not named. Only connectors that
    send messages to people count them (docs/SENDING.md).
    """

    slots: Annotated[int, Field(ge=1, le=1000)] = 50
    workspace_slots: Annotated[int, Field(ge=1)] | None = None
    workspace_backlog: Annotated[int, Field(ge=1)] | None = None
    window: Annotated[int, Field(ge=1, le=100_000)] = 1000
    dead_letter_limit: Annotated[int, Field(ge=1)] = 100
    daily_recipients: dict[str, Annotated[int, Field(ge=0, le=MOST_RECIPIENTS)]] = {}


class OutboundSettings(RuntimeSettings):
    """What whoever takes users' URLs and whoever calls them must agree on.

    `outbound_networks` (comma-separated, as in `127.0.0.0/8`) may be reached though they are not
    public, at any port: for development only. All else must be public, at `outbound_ports`.

    Secrets of webhook endpoints are sealed by the vault's keys (`mirsal_runtime.vault.settings`);
    without any there are no webhooks. `webhook_keys` are those of releases before (`id:base64 of 32
    bytes`, separated by commas): while there are some the first seals, and all open.
    """

    vault_keys: SecretStr = SecretStr("")
    vault_keys_file: Path | None = None
    webhook_keys: SecretStr = SecretStr("")

    outbound_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    outbound_ports: Annotated[tuple[Annotated[int, Field(ge=1, le=65_535)], ...], NoDecode] = (
        80,
        443,
    )

    @property
    def outbound_rules(self) -> OutboundRules:
        """The same as rules."""
        return OutboundRules(self.outbound_networks, self.outbound_ports)

    @field_validator("outbound_networks", "outbound_ports", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value
