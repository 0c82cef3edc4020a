"""The node types: what each one's `config` may hold, and what the engine must know of it."""

from mirsal_contracts.nodes.registry import NODE_TYPES, NodeType

__all__ = ["NODE_TYPES", "NodeType"]
