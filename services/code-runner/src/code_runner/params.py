"""What the connector is given and what it answers."""

from typing import Literal

from mirsal_contracts.message import Message
from mirsal_contracts.nodes.code import CodeConfig
from pydantic import JsonValue


class CodeParams(CodeConfig):
    """A rendered `code` node."""


class CodeResult(Message):
    """What `main(input)` returned, and what the code wrote."""

    outcome: Literal["ok"] = "ok"
    result: JsonValue = None
    logs: str = ""
    logs_truncated: bool = False
    duration_ms: float = 0.0
