"""The lead as messages carry it, and how what is personal travels (docs/PRIVACY.md)."""

from typing import Final

from pydantic import Field

from mirsal_contracts.message import JsonObject, Message

SEALED: Final = "$sealed"
"""The one member of a JSON object (a config, an output, an error's details) that is sealed."""

LEAD: Final = "lead"
CALL: Final = "call"
CONFIG: Final = "config"
OUTPUT: Final = "output"
ERROR: Final = "error"
"""What a text is, which it is sealed for; beside that workspace and lead, and whose it is: a call's
run, a config's command, an output's or error's execution."""

HIDDEN: Final = "the connector's words are kept sealed with the execution"
"""What stands in the open in place of a sealed message."""


class Sealed(Message):
    """What only the key of its lead opens: `key` is that key's id, `text` is Base64.

    Once the lead is erased there is no such key any more, wherever copies of the text are.
    """

    key: str
    text: str


class Consent(Message):
    """What the lead agreed to, per channel; `None` is not known, and does not forbid."""

    email: bool | None = None
    whatsapp: bool | None = None


class Lead(Message):
    """The person a workflow runs for, as the gateway read it when the run was requested.

    Where `sealed` is given it holds all members, and only the id is in the open beside it.
    """

    id: str
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    locale: str | None = None
    time_zone: str | None = None
    tags: tuple[str, ...] = ()
    fields: JsonObject = Field(default_factory=dict)
    consent: Consent = Consent()
    sealed: Sealed | None = None
