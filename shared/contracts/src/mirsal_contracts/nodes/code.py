"""The `code` node."""

from typing import Annotated, Literal

from pydantic import Field

from mirsal_contracts.message import JsonObject
from mirsal_contracts.nodes.config import NodeConfig

MOST_CODE = 256 * 1024
"""Bytes of UTF-8."""
MOST_INPUT = 512 * 1024
"""Bytes of JSON."""


class CodeLimits(NodeConfig):
    """What one run may use; an installation or a workspace may allow less."""

    seconds: Annotated[float, Field(gt=0, le=10)] = 1.0
    memory_mb: Annotated[int, Field(alias="memoryMb", ge=64, le=512)] = 128


class CodeConfig(NodeConfig):
    """Run `main(input)` of the code; what it returns is the output's `result`.

    The code is taken as it stands: it is no template, its `{{` are its own. The strings of
    `input` are templates. With `check` the code is only read, and `result` lists its mistakes.
    """

    language: Literal["python", "javascript"]
    code: Annotated[str, Field(min_length=1, max_length=MOST_CODE)]
    input: JsonObject = Field(default_factory=dict)
    limits: CodeLimits = CodeLimits()
    check: bool = False
