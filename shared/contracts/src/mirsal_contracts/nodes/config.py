"""What all node configurations share."""

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from mirsal_contracts.message import Message


class NodeConfig(Message):
    """A node's settings, as written (strings are templates) and as rendered.

    A member that nobody knows is a mistake of the author's, so it is refused.
    """

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid"
    )
