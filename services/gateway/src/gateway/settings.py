"""The gateway's settings; what every process has is in `mirsal_runtime.settings`."""

from typing import Annotated

from mirsal_runtime.settings import RuntimeSettings
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

SECRET_CHARACTERS = 32


class GatewaySettings(RuntimeSettings):
    """Read from the environment, each name preceded by `MIRSAL_`.

    All gateways of an installation share `api_key_pepper` and `id_secret`, over restarts too: with
    another pepper no API key is known, with another secret an id just issued reads 404.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Another port for `/api/automation/metrics`; 0 serves it with the rest."""

    api_key_pepper: SecretStr
    id_secret: SecretStr

    rate_limit_per_minute: Annotated[int, Field(ge=0)] = 100
    """Requests a minute and client address; 0 is no limit."""

    bad_keys_per_minute: Annotated[int, Field(ge=0)] = 20
    """Wrong keys or tokens a minute and client address, before they are 429; 0 is no limit."""

    rate_limit_wait_ms: Annotated[int, Field(ge=1)] = 50
    """What the limiter may cost a call before this gateway counts by itself."""

    trusted_proxies: str = ""
    """Addresses (comma-separated, or `*`) whose `X-Forwarded-For` says who the client is."""

    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins (comma-separated) whose pages may call the API from a browser."""

    default_region: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    """The country (ISO 3166) of phone numbers that have neither `+` nor a lead's locale."""

    database_connections: Annotated[int, Field(ge=1, le=100)] = 6

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("api_key_pepper", "id_secret")
    @classmethod
    def _is_long(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < SECRET_CHARACTERS:
            raise ValueError(f"needs at least {SECRET_CHARACTERS} characters")
        return value
