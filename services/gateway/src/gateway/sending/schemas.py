"""The bodies of the calls about whom a workspace may write to. No address goes out whole."""

from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from gateway.shapes import Answer, Question

Channel: TypeAlias = Literal["email", "whatsapp"]
Kind: TypeAlias = Literal["deny", "allow"]
MOST_AT_ONCE: Final = 1_000


class SuppressionDraft(Question):
    """An address, and whether it may not be written to (`deny`), or is one of those that alone may
    be, where the channel is held to them (`allow`)."""

    channel: Channel
    address: Annotated[
        str,
        Field(
            min_length=1,
            max_length=320,
            description="`user@domain`, or a phone number with its country code.",
        ),
    ]
    kind: Kind = "deny"
    reason: Annotated[
        str | None,
        Field(max_length=200, description="Kept in the open: it should tell nothing of a person."),
    ] = None


class SuppressionImport(Question):
    """Addresses that are listed together, or not at all."""

    items: Annotated[list[SuppressionDraft], Field(min_length=1, max_length=MOST_AT_ONCE)]


class SuppressionsSaved(Answer):
    """How many addresses are listed as the call says."""

    saved: int


class SuppressionView(Answer):
    """A listed address; `masked` is what may be seen of it. Who listed it first, and when."""

    suppression_id: str
    channel: Channel
    kind: Kind
    masked: str
    reason: str | None
    created_by: str
    created_at: datetime


class SuppressionPage(Answer):
    """A page of listed addresses, oldest first."""

    items: list[SuppressionView]
    next_cursor: str | None


class PolicyDraft(Question):
    """How a channel may be used."""

    only_listed: Annotated[
        bool, Field(description="Whether only addresses of the kind `allow` are written to.")
    ]


class PolicyView(Answer):
    """How a channel may be used; who said so and when is null where nobody has."""

    only_listed: bool
    updated_by: str | None
    updated_at: datetime | None


class SendingView(Answer):
    """The policies of a workspace's channels."""

    email: PolicyView
    whatsapp: PolicyView
