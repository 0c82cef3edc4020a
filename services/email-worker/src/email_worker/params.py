"""What the connector is given and what it answers."""

from mirsal_contracts.message import Message
from mirsal_contracts.nodes.email import EmailConfig


class EmailParams(EmailConfig):
    """A rendered `email` node."""


class EmailResult(Message):
    """The mail server took the mail over. `response` is its last reply."""

    message_id: str
    accepted: tuple[str, ...]
    response: str
