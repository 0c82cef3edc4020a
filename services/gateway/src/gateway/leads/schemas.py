"""The bodies of the lead calls."""

from datetime import datetime
from typing import Annotated, TypeAlias

from mirsal_contracts.leads import Consent
from mirsal_contracts.message import JsonObject
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from gateway.leads.contact import blank_is_nothing, normalise_email
from gateway.shapes import Answer, Identifier, Question
from gateway.workflows.triggers import TimeZone

LOCALE_PATTERN = r"^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8}){0,4}$"
Email: TypeAlias = Annotated[str, Field(max_length=320), AfterValidator(normalise_email)]
Phone: TypeAlias = Annotated[str, Field(max_length=64)]
Tag: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class ConsentDraft(Question):
    """What the lead agreed to; a channel that is left out is not known, and not forbidden."""

    email: bool | None = None
    whatsapp: bool | None = None


class LeadDraft(Question):
    """A lead as a client sends it: what is left out is empty afterwards."""

    name: Annotated[str, Field(max_length=500)] | None = None
    email: Annotated[Email | None, BeforeValidator(blank_is_nothing)] = None
    phone: Annotated[Phone | None, BeforeValidator(blank_is_nothing)] = None
    locale: Annotated[str, StringConstraints(pattern=LOCALE_PATTERN)] | None = None
    time_zone: TimeZone | None = None
    tags: Annotated[tuple[Tag, ...], Field(max_length=100)] = ()
    fields: Annotated[JsonObject, Field(max_length=500)] = Field(default_factory=dict)
    consent: ConsentDraft = ConsentDraft()


class LeadLine(LeadDraft):
    """A lead of a bulk import: the same, with its id."""

    lead_id: Identifier


class LeadView(Answer):
    """A lead. `id` is the name that templates know it by: `{{lead.id}}`."""

    lead_id: str
    id: str
    name: str | None
    email: str | None
    phone: str | None
    locale: str | None
    time_zone: str | None
    tags: list[str]
    fields: JsonObject
    consent: Consent
    created_at: datetime
    updated_at: datetime


class LeadPage(Answer):
    """A page of leads, oldest first."""

    items: list[LeadView]
    next_cursor: str | None


class LeadErased(Answer):
    """An erasure. `wasThere`: there was a lead of this id. `runs`: how many runs were told to end
    and to keep nothing of it."""

    lead_id: str
    was_there: bool
    runs: int


class LineFault(Answer):
    """What is wrong with one line of an import; it was left out."""

    line: int
    pointer: str
    message: str


class ImportReport(Answer):
    """What became of an import: `errors` names the first 100 faults."""

    received: int
    created: int
    updated: int
    failed: int
    errors: list[LineFault]
