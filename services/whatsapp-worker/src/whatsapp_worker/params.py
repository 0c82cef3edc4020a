"""What the connector is given and what it answers."""

from mirsal_contracts.message import Message
from mirsal_contracts.nodes.whatsapp import WhatsAppConfig


class WhatsAppParams(WhatsAppConfig):
    """A rendered `whatsapp` node."""


def count_recipients(_params: WhatsAppParams) -> int:
    """A message goes to one number."""
    return 1


class WhatsAppResult(Message):
    """WhatsApp took the message over: its id there, and the number as WhatsApp knows it."""

    message_id: str
    to: str
