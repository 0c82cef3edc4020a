"""The bodies of the workflow calls."""

from datetime import datetime
from typing import Annotated, TypeAlias
from uuid import UUID

from mirsal_contracts.workflows import Connection, Graph, Node, RetryPolicy
from pydantic import ConfigDict, Field, JsonValue

from gateway.shapes import Answer, Question
from gateway.workflows.triggers import Trigger

MOST_NODES = 500
MOST_CONNECTIONS = 2_000
MOST_TRIGGERS = 50
MOST_VERSIONS = 2**31 - 1

_STRICT = ConfigDict(extra="forbid")


class RetryDraft(RetryPolicy):
    """How often an attempt that surely had no effect is tried again."""

    model_config = _STRICT


class NodeDraft(Node):
    """One step; `config` is checked against the model of its type."""

    model_config = _STRICT

    retry: RetryDraft | None = None


class ConnectionDraft(Connection):
    """An arrow from node to node; `when` names the outcome of a condition that takes it."""

    model_config = _STRICT


class WorkflowDraft(Question):
    """A workflow definition as its author sends it."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[str, Field(max_length=10_000)] | None = None
    nodes: Annotated[tuple[NodeDraft, ...], Field(min_length=1, max_length=MOST_NODES)]
    connections: Annotated[tuple[ConnectionDraft, ...], Field(max_length=MOST_CONNECTIONS)] = ()
    triggers: Annotated[tuple[Trigger, ...], Field(max_length=MOST_TRIGGERS)] = ()

    def to_graph(self) -> Graph:
        """What a run follows."""
        return Graph(nodes=self.nodes, connections=self.connections)


JsonObjects: TypeAlias = list[dict[str, JsonValue]]


class WorkflowVersion(Answer):
    """One immutable version of a workflow definition."""

    workflow_id: str
    version: int
    name: str
    description: str | None
    nodes: JsonObjects
    connections: JsonObjects
    triggers: JsonObjects
    created_by: str
    created_at: datetime


class WorkflowExport(Answer):
    """A definition as saving takes it, here or in another workspace."""

    name: str
    description: str | None
    nodes: JsonObjects
    connections: JsonObjects
    triggers: JsonObjects


class WorkflowChecked(Answer):
    """Saving the definition would succeed."""

    is_valid: bool = True


class WorkflowView(WorkflowVersion):
    """A workflow: its newest version, and what belongs to all versions.

    `createdAt` is the time of the first version, `updatedAt` that of this one.
    """

    id: UUID
    is_active: bool
    updated_at: datetime


class WorkflowSummary(Answer):
    """A workflow in a list."""

    workflow_id: str
    version: int
    name: str
    description: str | None
    is_active: bool
    created_at: datetime
    updated_at: datetime


class WorkflowPage(Answer):
    """A page of workflows, oldest first."""

    items: list[WorkflowSummary]
    next_cursor: str | None


class VersionSummary(Answer):
    """A version in a list."""

    workflow_id: str
    version: int
    name: str
    created_by: str
    created_at: datetime


class VersionPage(Answer):
    """A page of a workflow's versions, oldest first."""

    items: list[VersionSummary]
    next_cursor: str | None
