"""The lead as messages carry it."""

from pydantic import Field

from mirsal_contracts.message import JsonObject, Message


class Consent(Message):
    """What the lead agreed to, per channel; `None` is not known, and does not forbid."""

    email: bool | None = None
    whatsapp: bool | None = None


class Lead(Message):
    """The person a workflow runs for, as the gateway read it when the run was requested."""

    id: str
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    locale: str | None = None
    time_zone: str | None = None
    tags: tuple[str, ...] = ()
    fields: JsonObject = Field(default_factory=dict)
    consent: Consent = Consent()
