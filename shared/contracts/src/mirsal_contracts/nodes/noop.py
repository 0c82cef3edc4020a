"""The `noop` node: a connector without an effect, to measure and test the platform itself."""

from pydantic import JsonValue

from mirsal_contracts.nodes.config import NodeConfig


class NoopConfig(NodeConfig):
    """Do nothing, and return `value`."""

    value: JsonValue = None
