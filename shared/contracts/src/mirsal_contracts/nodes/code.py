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
    """What one run may use: without one, what its workspace is given (as a rule 1 s and 128 MB).

    An installation or a workspace may allow less than is asked for.
    """

    seconds: Annotated[float, Field(gt=0, le=10)] | None = None
    memory_mb: Annotated[int, Field(ge=64, le=512)] | None = Field(default=None, alias="memoryMb")


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
