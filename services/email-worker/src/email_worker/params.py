"""What the connector is given and what it answers."""

from typing import Any

from mirsal_contracts.message import Message
from mirsal_contracts.nodes.email import EmailConfig
from pydantic import model_validator

_OPTIONAL = frozenset({"to", "html", "cc", "bcc", "replyTo", "fromName"})


class EmailParams(EmailConfig):
    """A rendered `email` node. A template that came out blank leaves its optional member out."""

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_is_blank(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {
            name: _without_blanks(value) if name in _OPTIONAL else value
            for name, value in given.items()
            if not (name in _OPTIONAL and _is_blank(value))
        }


def count_recipients(params: EmailParams) -> int:
    """All whom the mail goes to, as often as they are named."""
    lists = (each for each in (params.to, params.cc, params.bcc) if each is not None)
    return sum(1 if isinstance(each, str) else len(each) for each in lists)


def _without_blanks(value: Any) -> Any:
    return [each for each in value if not _is_blank(each)] if isinstance(value, list) else value


def _is_blank(value: Any) -> bool:
    return isinstance(value, str) and not value.strip()


class EmailResult(Message):
    """The mail server took the mail over. `response` is its last reply."""

    message_id: str
    accepted: tuple[str, ...]
    response: str
