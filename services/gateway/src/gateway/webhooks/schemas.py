"""Webhook endpoints and their deliveries, as callers send and see them."""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import AwareDatetime, Field, JsonValue

from gateway.shapes import Answer, Identifier, Question

EventType: TypeAlias = Literal[
    "run.succeeded", "run.failed", "run.cancelled", "run.paused", "run.unconfirmed"
]
DeliveryState: TypeAlias = Literal["pending", "delivered", "dead"]
MOST_WORKFLOWS = 200
LONGEST_OVERLAP_HOURS = 168


class WebhookDraft(Question):
    """An endpoint as it shall be. `workflowIds` null is all workflows."""

    url: Annotated[
        str,
        Field(min_length=1, max_length=2048, description="https (or http), of a public address."),
    ]
    event_types: Annotated[list[EventType], Field(min_length=1, max_length=5)]
    workflow_ids: Annotated[
        list[Identifier] | None, Field(min_length=1, max_length=MOST_WORKFLOWS)
    ] = None
    description: Annotated[str | None, Field(max_length=500)] = None
    enabled: bool = True


class SecretRotation(Question):
    """How a secret is followed by a new one."""

    overlap_hours: Annotated[
        int,
        Field(ge=0, le=LONGEST_OVERLAP_HOURS, description="How long the old one signs beside it."),
    ] = 24


class Redelivery(Question):
    """Which dead deliveries are sent again."""

    since: Annotated[AwareDatetime, Field(description="Those that ended from this time on.")]


class WebhookView(Answer):
    """An endpoint. `disabledReason` says why it was disabled for it, `failingSince` since when no
    call of it has succeeded."""

    webhook_id: str
    url: str
    event_types: list[EventType]
    workflow_ids: list[str] | None
    description: str | None
    enabled: bool
    disabled_reason: str | None
    failing_since: datetime | None
    previous_secret_until: datetime | None
    created_by: str
    created_at: datetime
    updated_at: datetime


class WebhookMade(WebhookView):
    """An endpoint with a new secret, which is shown this once."""

    secret: str


class WebhookPage(Answer):
    """A page of endpoints."""

    items: list[WebhookView]
    next_cursor: str | None


class DeliveryView(Answer):
    """One event on its way to one endpoint. `messageId` is the header `webhook-id`."""

    delivery_id: str
    message_id: str
    event_type: str
    run_id: str | None
    workflow_id: str | None
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime | None
    last_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    duration_ms: int | None
    occurred_at: datetime
    created_at: datetime
    ended_at: datetime | None
    data: dict[str, JsonValue]


class DeliveryPage(Answer):
    """A page of deliveries."""

    items: list[DeliveryView]
    next_cursor: str | None


class DeliveryAsked(Answer):
    """A delivery that will be made within seconds."""

    delivery_id: str
    status_url: str


class RedeliveryAsked(Answer):
    """Deliveries that will be made; the list shows them."""

    deliveries_url: str
