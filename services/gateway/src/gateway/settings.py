"""The gateway's settings; what every process has is in `mirsal_runtime.settings`."""

import re
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from mirsal_runtime.settings import OutboundSettings
from mirsal_runtime.vault.sharing import EVERYBODY
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from gateway.auth.access import Role
from gateway.auth.tokens import Algorithm

_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")
SECRET_CHARACTERS = 32
MOST_RUNS = 100_000


class GatewaySettings(OutboundSettings):
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

    shared_accounts: str = EVERYBODY
    """Which workspaces' nodes may name no credential: `*`, or their names; empty: none."""

    seal_leads: bool = False
    """Whether what is personal is sealed; to be said once no process of 0.1.0 is left, which does
    not read it (docs/PRIVACY.md). It needs keys of the vault."""

    rate_limit_per_minute: Annotated[int, Field(ge=0)] = 100
    """Requests a minute and client address; 0 is no limit."""

    bad_keys_per_minute: Annotated[int, Field(ge=0)] = 20
    """Wrong keys or tokens a minute and client address, before they are 429; 0 is no limit."""

    workspace_runs: dict[str, Annotated[int, Field(ge=0, le=MOST_RUNS)]] = Field(
        default_factory=dict
    )
    """How many runs workspaces may have under way, as in `{"*": 1000, "trial": 5}`; `*` are those
    that are not named, which else have no bound (docs/SENDING.md)."""

    jwt_jwks: str = ""
    """URL (https, or http of this machine) or path of the key set of who issues Bearer tokens; no
    tokens without it."""

    jwt_algorithm: Algorithm = "RS256"
    jwt_issuer: str = ""
    jwt_audience: str = ""
    jwt_leeway_seconds: Annotated[int, Field(ge=0, le=300)] = 30

    jwt_workspace_claim: Annotated[str, Field(min_length=1)] = "workspace"
    jwt_role_claim: Annotated[str, Field(min_length=1)] = "role"
    """A claim's name, or a path of names with dots between them; a text, or a list of texts."""

    jwt_workflows_claim: str = ""
    """Where set: the claim with the workflows that may be used, and none without it."""

    jwt_roles: dict[str, Role] = Field(default_factory=lambda: {each.value: each for each in Role})
    """The issuer's words for roles (JSON), as `{"crm-admin": "owner"}`."""

    rate_limit_wait_ms: Annotated[int, Field(ge=1)] = 50
    """What the limiter may cost a call before this gateway counts by itself."""

    trusted_proxies: str = ""
    """Addresses (comma-separated, or `*`) whose `X-Forwarded-For` says who the client is."""

    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins (comma-separated) whose pages may call the API from a browser."""

    default_region: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    """The country (ISO 3166) of phone numbers that have neither `+` nor a lead's locale."""

    database_connections: Annotated[int, Field(ge=1, le=100)] = 6

    @property
    def has_vault(self) -> bool:
        """Whether there are keys of the vault."""
        return bool(self.vault_keys.get_secret_value() or self.vault_keys_file)

    @model_validator(mode="after")
    def _can_seal(self) -> Self:
        if self.seal_leads and not self.has_vault:
            raise ValueError("MIRSAL_SEAL_LEADS needs MIRSAL_VAULT_KEYS or MIRSAL_VAULT_KEYS_FILE")
        return self

    @model_validator(mode="after")
    def _has_rules_for_tokens(self) -> Self:
        if not self.jwt_jwks:
            return self
        if not (self.jwt_issuer and self.jwt_audience):
            raise ValueError("MIRSAL_JWT_JWKS needs MIRSAL_JWT_ISSUER and MIRSAL_JWT_AUDIENCE")
        parts = urlsplit(self.jwt_jwks)
        if parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "::1", "localhost"}:
            raise ValueError("MIRSAL_JWT_JWKS must be https, or who is in between makes the keys")
        return self

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [each for each in value if not _ORIGIN.fullmatch(each)]
        if wrong:
            raise ValueError(
                f"{wrong[0]!r} is no origin such as https://crm.example.com: name each, without "
                "a path and in lower case"
            )
        return value

    @field_validator("api_key_pepper", "id_secret")
    @classmethod
    def _is_long(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < SECRET_CHARACTERS:
            raise ValueError(f"needs at least {SECRET_CHARACTERS} characters")
        return value
