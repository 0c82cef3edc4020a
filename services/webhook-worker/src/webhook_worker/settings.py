"""The webhook worker's own settings."""

from typing import Annotated

from mirsal_runtime.settings import OutboundSettings
from pydantic import Field, field_validator
from pydantic_settings import NoDecode

_HOUR = 3600.0
Seconds = Annotated[float, Field(gt=0, le=7 * 24 * _HOUR)]


class WebhookSettings(OutboundSettings):
    """Read from the environment, with `MIRSAL_` before each name.

    `webhook_calls` are under way at a time in this process, and to one endpoint
    `webhook_endpoint_calls` from all processes together, each for `webhook_call_seconds` at most.
    After a failure the next attempt is `webhook_retry_seconds` (comma-separated) later; after the
    last of them the delivery is dead. An endpoint that fails for `webhook_disable_hours` is
    disabled. Deliveries that are over are forgotten after `webhook_keep_days`.
    """

    webhook_calls: Annotated[int, Field(ge=1, le=1000)] = 64
    webhook_endpoint_calls: Annotated[int, Field(ge=1, le=100)] = 4
    webhook_call_seconds: Annotated[float, Field(gt=0, le=25)] = 15.0
    webhook_retry_seconds: Annotated[tuple[Seconds, ...], NoDecode] = (
        *(5.0, 300.0, 1800.0, 2 * _HOUR, 5 * _HOUR),
        *(10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR),
    )
    webhook_disable_hours: Annotated[float, Field(gt=0)] = 120.0
    webhook_keep_days: Annotated[float, Field(gt=0)] = 30.0

    @property
    def lease_seconds(self) -> float:
        """Longer than a call and the writing of its outcome take; then somebody else calls."""
        return self.webhook_call_seconds * 2 + 2.0

    @field_validator("webhook_retry_seconds", mode="before")
    @classmethod
    def _split_seconds(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value
