"""A message on its way to Kafka."""

from typing import NamedTuple

from mirsal_contracts.message import Headers


class Outgoing(NamedTuple):
    """A message to send; `topic` is the contract's name, without the prefix of the settings.

    Key and value are bytes, or None, only where somebody else's record is passed on as it was.
    """

    topic: str
    key: str | bytes | None
    value: bytes | None
    headers: Headers
