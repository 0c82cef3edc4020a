"""The `whatsapp` node: one of text, template, media or interactive buttons."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator

from mirsal_contracts.credentials import CredentialId
from mirsal_contracts.nodes.config import NodeConfig

Text = Annotated[str, Field(min_length=1, max_length=100_000)]


class Template(NodeConfig):
    """A template that Meta approved.

    `variables` fills the body's placeholders in order. `components`, in Meta's own shape, is for
    what that does not reach: headers and buttons.
    """

    name: Annotated[str, Field(min_length=1, max_length=512)]
    language: Annotated[str, Field(min_length=1, max_length=32)]
    variables: Annotated[tuple[str | int | float, ...], Field(max_length=100)] = ()
    components: Annotated[tuple[dict[str, JsonValue], ...], Field(max_length=20)] = ()


class Media(NodeConfig):
    """A file that the provider fetches from `link` (https)."""

    type: Literal["image", "document", "video", "audio"]
    link: Text
    caption: Annotated[str, Field(max_length=100_000)] | None = None
    filename: Annotated[str, Field(max_length=1_000)] | None = None


class Button(NodeConfig):
    """A reply button under an interactive message."""

    id: Text
    title: Text


class Interactive(NodeConfig):
    """A text with one to three reply buttons."""

    body: Text
    buttons: Annotated[tuple[Button, ...], Field(min_length=1, max_length=3)]
    header: Text | None = None
    footer: Text | None = None


class WhatsAppConfig(NodeConfig):
    """Send one WhatsApp message. `to` defaults to the lead's phone number.

    `credentialId` names the account (type `whatsapp`) that sends it.
    """

    to: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    text: Text | None = None
    template: Template | None = None
    media: Media | None = None
    interactive: Interactive | None = None
    credential_id: CredentialId | None = None

    @model_validator(mode="after")
    def _holds_one_message(self) -> "WhatsAppConfig":
        kinds = (self.text, self.template, self.media, self.interactive)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("give exactly one of text, template, media, interactive")
        return self
