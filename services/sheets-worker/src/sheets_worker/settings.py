"""How to reach Google, and how rows are gathered: `MIRSAL_SHEETS_*`, `MIRSAL_BIGQUERY_*`."""

from pathlib import Path
from typing import Annotated, Self

from mirsal_runtime.plaintext import ALLOW_SETTING, http_fault, refuse_plaintext
from mirsal_runtime.settings import ConnectorSettings
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Url = Annotated[str, Field(pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$")]
Share = Annotated[int, Field(ge=1, le=1_000_000)]


class ProcessSettings(ConnectorSettings):
    """A command costs nothing while it waits for its group: many are in flight at a time."""

    slots: Annotated[int, Field(ge=1, le=1000)] = 1000
    window: Annotated[int, Field(ge=1, le=100_000)] = 2000


class GoogleSettings(BaseSettings):
    """Read from the environment.

    `credentials_file` is the JSON of a service account or of an authorized user (OAuth client
    and refresh token); without it nothing is written but by credentials of workspaces. These get
    their tokens from `token_url`, whatever their keys say.
    """

    model_config = SettingsConfigDict(
        env_prefix="MIRSAL_GOOGLE_",
        populate_by_name=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    credentials_file: Path | None = None
    token_url: Url = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
    allow_plaintext: bool = Field(default=False, validation_alias=ALLOW_SETTING)

    @model_validator(mode="after")
    def _is_protected(self) -> Self:
        fault = http_fault("MIRSAL_GOOGLE_TOKEN_URL", self.token_url)
        refuse_plaintext(fault, is_allowed=self.allow_plaintext)
        return self


class SheetsSettings(BaseSettings):
    """Read from the environment.

    `settle_seconds`: so long after it began a write of unknown outcome cannot happen any more;
    Google ends requests after 180 s. `reads_per_minute` and the others hold until Google's own
    answer names another limit. `keep_seconds`: how long it is remembered where a row went, longer
    than commands are kept. `backfill_seconds`: how often is looked for rows that BigQuery has and
    their sheet lacks.
    """

    model_config = SettingsConfigDict(
        env_prefix="MIRSAL_SHEETS_",
        populate_by_name=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    base_url: Url = "https://sheets.googleapis.com"
    connect_seconds: PositiveFloat = 5.0
    answer_seconds: PositiveFloat = 60.0
    settle_seconds: PositiveFloat = 200.0
    keep_seconds: PositiveFloat = 15 * 86_400.0
    backfill_seconds: PositiveFloat = 15.0
    threads: PositiveInt = 8
    group_rows: Annotated[int, Field(ge=1, le=10_000)] = 500
    group_bytes: Annotated[int, Field(ge=1, le=9_000_000)] = 2_000_000
    group_seconds: Annotated[float, Field(ge=0, le=10)] = 0.2
    reads_per_minute: Share = 300
    writes_per_minute: Share = 300
    user_reads_per_minute: Share = 60
    user_writes_per_minute: Share = 60
    allow_plaintext: bool = Field(default=False, validation_alias=ALLOW_SETTING)

    @model_validator(mode="after")
    def _is_protected(self) -> Self:
        fault = http_fault("MIRSAL_SHEETS_BASE_URL", self.base_url)
        refuse_plaintext(fault, is_allowed=self.allow_plaintext)
        return self


class BigQuerySettings(BaseSettings):
    """Read from the environment; without a project rows fall back to nowhere."""

    model_config = SettingsConfigDict(
        env_prefix="MIRSAL_BIGQUERY_",
        populate_by_name=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    base_url: Url = "https://bigquery.googleapis.com"
    project: Annotated[str, Field(pattern=r"^[a-z0-9:.-]{0,100}$")] = ""
    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,1024}$")] = "mirsal"
    location: str = "US"
    connect_seconds: PositiveFloat = 5.0
    answer_seconds: PositiveFloat = 30.0
    threads: PositiveInt = 4
    allow_plaintext: bool = Field(default=False, validation_alias=ALLOW_SETTING)

    @model_validator(mode="after")
    def _is_protected(self) -> Self:
        fault = http_fault("MIRSAL_BIGQUERY_BASE_URL", self.base_url)
        refuse_plaintext(fault, is_allowed=self.allow_plaintext)
        return self
