"""The bare pipeline's topics and messages: as long as Mirsal's own, made the cheapest way.

Each is built once from the contracts' models; a run's message is that text with its id put in.
What is personal is as long as it is sealed, which Mirsal's is; nothing is sealed or opened here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from mirsal_contracts.commands import RunNode
from mirsal_contracts.ids import command_id_of
from mirsal_contracts.leads import CONFIG, OUTPUT, Lead
from mirsal_contracts.message import Envelope, Headers, Message
from mirsal_contracts.requests import RunRequested
from mirsal_contracts.statuses import NodeSucceeded
from mirsal_contracts.workflows import Connection, Graph, Node
from mirsal_runtime.vault.personal import LeadKey
from mirsal_runtime.vault.sealing import make_key
from orjson import dumps

from mirsal_testing.lead_keys import seal_lead

if TYPE_CHECKING:
    from mirsal_contracts.message import JsonObject

PARTITIONS = 8
STEPS = 2

RUN_PATH = "/run"
MESSAGE_PATH = "/v23.0/100000000000001/messages"

_FILLER = "filler"
_RUN = "00000000-0000-7000-8000-000000000000"
_NODES = ("first", "second")
_WORKSPACE = "default"
_WORKFLOW = "bench"
_LEAD = Lead(
    id="bench-0001",
    name="أحمد محمد",
    email="bench-0001@example.com",
    phone="+201000000001",
    locale="ar-EG",
    time_zone="Africa/Cairo",
    fields={"city": "القاهرة"},
)
_KEY = LeadKey(_RUN, _WORKSPACE, _LEAD.id, make_key())
_NOW = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


class Topics(NamedTuple):
    """The three topics of one bare pipeline."""

    requests: str
    commands: str
    statuses: str


def topics_of(name: str) -> Topics:
    """The topics of the pipeline of that name; each start of one has a new name."""
    return Topics(f"{name}.requests", f"{name}.commands", f"{name}.statuses")


class Letter:
    """One kind of message: its value and headers for any run."""

    def __init__(self, message: Message, envelope: Envelope) -> None:
        self._value = message.to_json()
        self._headers = envelope.to_headers()
        self._varying = [
            number for number, (_, value) in enumerate(self._headers) if _RUN.encode() in value
        ]

    def write(self, run_id: bytes) -> tuple[bytes, Headers]:
        """The message of that run."""
        headers = list(self._headers)
        for number in self._varying:
            name, value = headers[number]
            headers[number] = (name, value.replace(_RUN.encode(), run_id))
        return self._value.replace(_RUN.encode(), run_id), headers


def text_of(step: int, run_id: str) -> str:
    """What the lead of a run is sent in that step (0 or 1)."""
    return f"{step + 1} {run_id} مرحباً أحمد محمد، شكراً لاهتمامك بنا في القاهرة"


def config_of(step: int, *, provider: bool) -> JsonObject:
    """The rendered config of that step."""
    text = text_of(step, _RUN)
    return {"to": _LEAD.phone, "text": text} if provider else {"value": text}


def output_of(step: int, *, provider: bool) -> JsonObject:
    """What that step comes to; the noop connector's gives back its config."""
    return {"messageId": f"wamid.{_RUN}"} if provider else config_of(step, provider=False)


def request_letter(*, provider: bool) -> Letter:
    """What the front publishes."""
    kind = "whatsapp" if provider else "noop"
    nodes = tuple(
        Node(id=name, type=kind, config=config_of(step, provider=provider))
        for step, name in enumerate(_NODES)
    )
    connections = (Connection(source=_NODES[0], target=_NODES[1]),)
    request = RunRequested(
        workspace=_WORKSPACE,
        run_id=_RUN,
        workflow_id=_WORKFLOW,
        version=1,
        graph=Graph(nodes=nodes, connections=connections),
        lead=seal_lead(_LEAD, _KEY),
        requested_at=_NOW,
    )
    return Letter(request, _envelope(RunRequested.TYPE, "gateway"))


def command_letters(*, provider: bool) -> tuple[Letter, ...]:
    """What the brain publishes, by step."""
    kind = "whatsapp" if provider else "noop"
    return tuple(
        Letter(
            RunNode.model_validate(
                {
                    **_attempt(step, kind),
                    "lead_id": _LEAD.id,
                    "config": _as_sealed(config_of(step, provider=provider), CONFIG),
                    "timeout_seconds": 15.0,
                    "deadline": _NOW,
                }
            ),
            _envelope(RunNode.TYPE, "orchestrator", step, kind),
        )
        for step in range(STEPS)
    )


def status_letters(*, provider: bool) -> tuple[Letter, ...]:
    """What the worker publishes, by step."""
    kind = "whatsapp" if provider else "noop"
    return tuple(
        Letter(
            NodeSucceeded.model_validate(
                {
                    **_attempt(step, kind),
                    "started_at": _NOW,
                    "ended_at": _NOW,
                    "output": _as_sealed(output_of(step, provider=provider), OUTPUT),
                }
            ),
            _envelope(NodeSucceeded.TYPE, f"{kind}-worker", step, kind),
        )
        for step in range(STEPS)
    )


def _as_sealed(plain: JsonObject, what: str) -> JsonObject:
    """The same in the open, for the bare worker to use, and as long as it were sealed."""
    missing = len(dumps(_KEY.hide(plain, what, _RUN))) - len(dumps({**plain, _FILLER: ""}))
    return {**plain, _FILLER: "." * missing}


def step_of(node_id: str) -> int:
    """Which step a message's `nodeId` names."""
    return _NODES.index(node_id)


def _attempt(step: int, kind: str) -> dict[str, object]:
    # Mirsal derives the execution's id from the run's; here only its length counts.
    return {
        "workspace": _WORKSPACE,
        "run_id": _RUN,
        "execution_id": _RUN,
        "command_id": command_id_of(_RUN, 1),
        "workflow_id": _WORKFLOW,
        "node_id": _NODES[step],
        "attempt": 1,
        "connector": kind,
    }


def _envelope(type_: str, source: str, step: int | None = None, kind: str = "") -> Envelope:
    return Envelope(
        id=command_id_of(_RUN, 1),
        type=type_,
        source=source,
        subject=_RUN,
        workspace=_WORKSPACE,
        time=_NOW.isoformat(),
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        execution_id="" if step is None else _RUN,
        command_id="" if step is None else command_id_of(_RUN, 1),
        workflow_id=_WORKFLOW,
        node_id="" if step is None else _NODES[step],
        connector=kind,
    )
