"""A workflow's graph: nodes and the connections between them."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from mirsal_contracts.message import JsonObject, Message

NODE_ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
NodeId: TypeAlias = Annotated[str, Field(pattern=NODE_ID_PATTERN)]
OnUnconfirmed: TypeAlias = Literal["park", "resend"]


class RetryPolicy(Message):
    """How often an attempt that surely had no effect is tried again.

    `attempts` counts all tries, the first one too. The pause before try n+1 is
    `backoff_seconds * 2 ** (n - 1)`, at most `max_backoff_seconds`, and of that half or more.
    """

    attempts: Annotated[int, Field(ge=1, le=20)] = 4
    backoff_seconds: Annotated[float, Field(gt=0, le=86_400)] = 5.0
    max_backoff_seconds: Annotated[float, Field(gt=0, le=604_800)] = 300.0


class Node(Message):
    """One step. `config` is checked against the model of its type (`mirsal_contracts.nodes`)."""

    id: NodeId
    type: str
    config: JsonObject = Field(default_factory=dict)
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] | None = None
    retry: RetryPolicy | None = None
    on_unconfirmed: OnUnconfirmed | None = None


class Connection(Message):
    """An arrow from node to node; `when` names the outcome of a condition that takes it."""

    source: Annotated[NodeId, Field(alias="from")]
    target: Annotated[NodeId, Field(alias="to")]
    when: str | None = None


class Graph(Message):
    """What a run follows: one immutable version's nodes and connections."""

    nodes: tuple[Node, ...]
    connections: tuple[Connection, ...] = ()
