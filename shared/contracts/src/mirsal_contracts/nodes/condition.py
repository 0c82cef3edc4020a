"""The `condition` node: decided by the orchestrator itself."""

from typing import Annotated

from pydantic import Field

from mirsal_contracts.nodes.config import NodeConfig


class ConditionConfig(NodeConfig):
    """Take the connections whose `when` is the value of `if` (CEL): `true` or `false`."""

    expression: Annotated[str, Field(alias="if", min_length=1, max_length=10_000)]
