"""How to reach the WhatsApp Cloud API: `MIRSAL_WHATSAPP_*`."""

from typing import Annotated, Self

from mirsal_runtime.plaintext import ALLOW_SETTING, http_fault, refuse_plaintext
from phonenumbers import SUPPORTED_REGIONS
from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict


class WhatsAppSettings(BaseSettings):
    """Read from the environment.

    `default_region` (ISO 3166: SA, TR) is the country of numbers written without one; empty
    refuses them. `idle_seconds` must be less than what the provider keeps an idle connection.
    """

    model_config = SettingsConfigDict(
        env_prefix="MIRSAL_WHATSAPP_",
        populate_by_name=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    base_url: Annotated[str, Field(pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$")] = (
        "https://graph.facebook.com"
    )
    api_version: Annotated[str, Field(pattern=r"^v\d+\.\d+$")] = "v24.0"
    token: SecretStr
    phone_number_id: Annotated[str, Field(pattern=r"^[0-9]{1,32}$")]
    default_region: str = ""
    connections: PositiveInt = 50
    idle_seconds: PositiveFloat = 4.0
    connect_seconds: PositiveFloat = 5.0
    allow_plaintext: bool = Field(default=False, validation_alias=ALLOW_SETTING)

    @property
    def messages_url(self) -> str:
        """Where messages are posted to."""
        base = self.base_url.rstrip("/")
        return f"{base}/{self.api_version}/{self.phone_number_id}/messages"

    @property
    def number_url(self) -> str:
        """What is known of the number."""
        return self.messages_url.removesuffix("/messages")

    @model_validator(mode="after")
    def _is_protected(self) -> Self:
        fault = http_fault("MIRSAL_WHATSAPP_BASE_URL", self.base_url)
        refuse_plaintext(fault, is_allowed=self.allow_plaintext)
        return self

    @field_validator("token")
    @classmethod
    def _fits_into_a_header(cls, token: SecretStr) -> SecretStr:
        text = token.get_secret_value()
        if not (text and text.isascii() and text.isprintable() and " " not in text):
            raise ValueError("the token must be one line of ASCII without spaces")
        return token

    @field_validator("default_region")
    @classmethod
    def _is_a_region(cls, region: str) -> str:
        region = region.upper()
        if region and region not in SUPPORTED_REGIONS:
            raise ValueError("not a region of ISO 3166, such as SA or TR")
        return region
