"""A run as values: what was asked for, which never changes, and what became of it so far."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from mirsal_contracts.ids import execution_id_of
from mirsal_contracts.leads import OUTPUT, SEALED, Lead
from mirsal_contracts.message import JsonObject
from mirsal_contracts.requests import RunRequested
from mirsal_contracts.workflows import Graph
from pydantic_core import from_json

from orchestrator.decide.storable import write_json

Phase: TypeAlias = Literal[
    "queued",  # a command is out, its answer awaited
    "retrying",  # the next command goes out when it is due
    "parked",  # nothing was sent, and nothing will be until a person acts
    "silent",  # no answer came in all the rounds; a late one still counts
    "unconfirmed",  # nobody can tell whether it happened
    "succeeded",
    "failed",
    "skipped",
    "cancelled",
]
RunStatus: TypeAlias = Literal[
    "running", "waiting", "paused", "unconfirmed", "succeeded", "failed", "cancelled"
]

FINAL: frozenset[Phase] = frozenset({"succeeded", "failed", "skipped", "cancelled"})
OUTSTANDING: frozenset[Phase] = frozenset({"queued", "silent"})
FINAL_RUN: frozenset[RunStatus] = frozenset({"succeeded", "failed", "cancelled"})
NO_CONSENT = "no_consent"


class Seal(Protocol):
    """The key of a run's lead."""

    def seal(self, plain: bytes, what: str, of: str) -> JsonObject:
        """`plain` as a `Sealed` of a message."""

    def reveal(self, value: JsonObject, what: str, of: str) -> JsonObject:
        """What was sealed; an object in the open as it is. Raises where it does not open."""


class RunRequest(NamedTuple):
    """What was asked for. `graph` is given for direct calls only: the others name a version.

    Where the lead is sealed, `cover` is what stands in the table in place of lead, input and graph,
    as it came, and `seal` is the lead's key. `is_erased`: it was, and nothing of it is left here.
    """

    workspace: str
    run_id: str
    workflow_id: str
    version: int
    lead_id: str
    requested_at: datetime
    lead: JsonObject
    input: JsonObject
    execution_id: str | None = None
    graph: Graph | None = None
    seal: Seal | None = None
    cover: JsonObject | None = None
    is_erased: bool = False
    requested_by: JsonObject | None = None

    @classmethod
    def of(cls, message: RunRequested) -> "RunRequest":
        """The part of the gateway's message that a run keeps."""
        return cls(
            message.workspace,
            message.run_id,
            message.workflow_id,
            message.version,
            message.lead.id,
            message.requested_at,
            message.lead.model_dump(mode="json", by_alias=True, exclude={"sealed"}),
            message.input,
            message.execution_id,
            None if message.version else message.graph,
            requested_by=None
            if message.requested_by is None
            else message.requested_by.model_dump(by_alias=True),
        )

    def execution_id_of(self, node_id: str) -> str:
        """The id of a node's execution; a direct call's caller was told it before the run began."""
        return self.execution_id or _derived_id(self.run_id, node_id)

    def to_json(self) -> bytes:
        """The members that are not columns of the run."""
        members: dict[str, Any] = (
            {"lead": self.lead, "input": self.input} if self.cover is None else {**self.cover}
        )
        if self.execution_id:
            members["executionId"] = self.execution_id
        if self.requested_by is not None:
            members["requestedBy"] = self.requested_by
        if self.is_erased:
            members["isErased"] = True
        if self.graph is not None and self.cover is None:
            members["graph"] = self.graph.model_dump(by_alias=True, exclude_none=True)
        return write_json(members)

    def with_json(self, text: str) -> "RunRequest":
        """The request with the members of `to_json` put in."""
        members = from_json(text)
        graph = members.get("graph")
        lead = members.get("lead") or {}
        return self._replace(
            lead=lead if len(lead) > 1 and "sealed" not in lead else _nobody(self.lead_id),
            input=members.get("input") or {},
            execution_id=members.get("executionId"),
            graph=None if graph is None else Graph.model_validate(graph),
            cover=cover_of(members),
            is_erased=members.get("isErased", False),
            requested_by=members.get("requestedBy"),
        )

    def open_output(self, node_id: str, output: JsonObject | None) -> JsonObject:
        """What templates see of a node's output."""
        if output is None:
            return {}
        if self.seal is None or SEALED not in output:
            return output
        return self.seal.reveal(output, OUTPUT, self.execution_id_of(node_id))

    def forget(self) -> "RunRequest":
        """The request without anything of its lead but the id."""
        graph = self.graph
        if graph is not None:
            bare = tuple(node.model_copy(update={"config": {}}) for node in graph.nodes)
            graph = graph.model_copy(update={"nodes": bare})
        return self._replace(
            lead={"id": self.lead_id},
            input={},
            graph=graph,
            seal=None,
            cover=None,
            is_erased=True,
        )


def cover_of(members: Mapping[str, Any]) -> JsonObject | None:
    """The sealed members of a request, and what stands in the open beside them; None if nothing
    is sealed."""
    lead = members.get("lead")
    if not isinstance(lead, dict) or not isinstance(lead.get("sealed"), dict):
        return None
    return {
        "lead": {"id": lead.get("id"), "sealed": lead["sealed"]},
        **{name: members[name] for name in ("input", "sealed", "graph") if members.get(name)},
    }


def _nobody(lead_id: str) -> JsonObject:
    return Lead(id=lead_id).model_dump(mode="json", by_alias=True, exclude={"sealed"})


class NodeState(NamedTuple):
    """One execution. A node without a state is not decided yet.

    `attempt` is the number of the newest command, `retries` how many further tries failures have
    led to, `rounds` the waits that passed without an answer. `due` is when to act if no answer
    comes. `cause` names the event whose decision sent the command last. `outcome` is a
    condition's. `error` is the last try's, or why it was skipped. `late` is what is known of the
    attempt of a node that was ended from outside, or that could not be read: `awaited` while
    nothing is, `unsent` where nothing was on its way, else the last news.
    """

    phase: Phase
    attempt: int = 0
    retries: int = 0
    rounds: int = 0
    due: datetime | None = None
    cause: str = ""
    started_at: datetime | None = None
    outcome: str | None = None
    output: JsonObject | None = None
    error: JsonObject | None = None
    late: str = ""

    @property
    def is_final(self) -> bool:
        return self.phase in FINAL

    @property
    def goes_on(self) -> bool:
        """Whether its outgoing connections are taken (a condition takes those of its outcome).

        Who may not be messaged on a channel is still a lead: the rest of the workflow goes on.
        """
        return self.phase == "succeeded" or (
            self.phase == "skipped" and self.error is not None and self.error["code"] == NO_CONSENT
        )


class RunState(NamedTuple):
    """A run's mutable part. `error` is the first failure: with it set, no node starts any more.

    `stamp` is the creation time of the youngest execution: the next one's is later, so that the
    oldest-first order of the log is the order of the workflow. `controls` are the ids of what
    people wanted lately: each counts once.
    """

    status: RunStatus
    nodes: Mapping[str, NodeState]
    stamp: datetime
    error: JsonObject | None = None
    is_cancelled: bool = False
    controls: tuple[str, ...] = ()

    @property
    def is_final(self) -> bool:
        return self.status in FINAL_RUN

    @property
    def wake_at(self) -> datetime | None:
        """When something must be done if no event comes before; None if nothing must."""
        earliest: datetime | None = None
        for node in self.nodes.values():
            due = node.due
            if due is not None and (earliest is None or due < earliest):
                earliest = due
        return earliest

    @property
    def reason(self) -> JsonObject | None:
        """Why the run failed or rests: code, message and the node's id."""
        if self.error is not None:
            return in_the_open(self.error)
        if self.status in ("paused", "unconfirmed"):
            for node_id, node in self.nodes.items():
                if node.phase in ("parked", "silent", "unconfirmed") and node.error is not None:
                    return {**in_the_open(node.error), "nodeId": node_id}
        return None

    def to_json(self) -> bytes:
        """As stored; what has its default is left out."""
        members: dict[str, Any] = {
            "status": self.status,
            "nodes": {node_id: _pack(node) for node_id, node in self.nodes.items()},
            "stamp": self.stamp,
        }
        if self.error is not None:
            members["error"] = self.error
        if self.is_cancelled:
            members["isCancelled"] = True
        if self.controls:
            members["controls"] = self.controls
        return write_json(members)

    @classmethod
    def from_json(cls, text: str | bytes) -> "RunState":
        """Read what `to_json` wrote; members that a newer release added are passed over."""
        members = from_json(text)
        return cls(
            members["status"],
            {node_id: _unpack(node) for node_id, node in members["nodes"].items()},
            datetime.fromisoformat(members["stamp"]),
            members.get("error"),
            members.get("isCancelled", False),
            tuple(members.get("controls", ())),
        )


def in_the_open(error: JsonObject) -> JsonObject:
    """An error without what is sealed of it, which is kept with its execution."""
    details = error.get("details")
    if not isinstance(details, dict) or SEALED not in details:
        return error
    return {name: value for name, value in error.items() if name != "details"}


# The same few ids are asked for several times an event, and a hash and a UUID are slow to make.
_derived_id = lru_cache(maxsize=8192)(execution_id_of)
_MAY_BE_LEFT_OUT = tuple(NodeState._field_defaults.items())
_FIELDS = frozenset(NodeState._fields)


def _pack(node: NodeState) -> dict[str, Any]:
    told = {
        name: value
        for (name, default), value in zip(_MAY_BE_LEFT_OUT, node[1:], strict=True)
        if value != default
    }
    return {"phase": node.phase, **told}


def _unpack(packed: Mapping[str, Any]) -> NodeState:
    known = {name: value for name, value in packed.items() if name in _FIELDS}
    for name in ("due", "started_at"):
        if name in known:
            known[name] = datetime.fromisoformat(known[name])
    return NodeState(**known)
