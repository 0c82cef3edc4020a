"""The way from a call that is right to a 202: its id, its messages, Kafka's acknowledgement."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

import orjson
import structlog
from mirsal_contracts.leads import CALL, Lead, Sealed
from mirsal_contracts.message import Envelope, JsonObject
from mirsal_contracts.requests import RunRequested
from mirsal_contracts.topics import EXECUTIONS_REQUESTED_V1
from mirsal_contracts.workflows import Graph
from mirsal_runtime import telemetry
from mirsal_runtime.batching import Batcher
from mirsal_runtime.broker import MAX_MESSAGE_BYTES, BrokerUnavailable, Outgoing, size_of
from mirsal_runtime.span_attributes import LEAD, RUN, WORKFLOW, WORKSPACE, messaging
from pydantic import JsonValue

from gateway.audit.origins import requester_of
from gateway.auth.schemas import Principal
from gateway.issued_ids import STEM_BYTES, IdIssuer, derive_stem, new_stem
from gateway.leads.opening import Opener
from gateway.problems import Fault, invalid, not_found, too_large, unavailable
from gateway.publishing import Intake
from gateway.runs.bound import RunBound
from gateway.runs.store import Claim, StartStore

SOURCE = "gateway"
CALL_BYTES = 32 * 1024 * 1024
"""What one bulk start may publish in all."""
READ_SECONDS = 2.5
"""What a start may spend on PostgreSQL."""
ANSWER_SECONDS = 4.7
"""A start is answered within this time, whatever is away."""
KEY_CHARACTERS = 255
_CREATE = f"create {EXECUTIONS_REQUESTED_V1.name}"
_CREATION = messaging("create", EXECUTIONS_REQUESTED_V1.name)

log = structlog.get_logger(__name__)


class Call(NamedTuple):
    """A start as it came: `key` is its Idempotency-Key; `says` what it asks for, canonically."""

    caller: Principal
    route: str
    key: str | None
    says: bytes
    traceparent: str


class Order(NamedTuple):
    """One run to start. `sealed` holds what of it is personal besides the lead, if it was there."""

    run_id: str
    workflow_id: str
    version: int
    graph: Graph
    lead: Lead
    input: JsonObject
    execution_id: str | None = None
    sealed: Sealed | None = None


class Deadlines(NamedTuple):
    """When reading must be done, and when the answer must go out, by the event loop's clock."""

    read: float
    answer: float

    @classmethod
    def from_now(cls) -> "Deadlines":
        """Those of a call whose body has just arrived."""
        now = asyncio.get_running_loop().time()
        return cls(now + READ_SECONDS, now + ANSWER_SECONDS)


class Claimed(NamedTuple):
    """The stem of a call's ids, and whether an earlier call had it first."""

    stem: bytes
    is_repeated: bool


class Launcher:
    """Gives a call its id, once, and gets its runs into Kafka."""

    def __init__(
        self,
        issuer: IdIssuer,
        store: StartStore,
        intake: Intake,
        opener: Opener,
        bound: RunBound,
    ) -> None:
        self.issuer = issuer
        self.bound = bound
        self._intake = intake
        self._store = store
        self._opener = opener
        self._claims: Batcher[Claim, Claim] = Batcher(store.claim)

    async def stem_for(self, call: Call, lead_ids: Sequence[str] = ()) -> bytes:
        """The stem that `claim` gives to a call that starts a run, or one for each lead.

        Raises a 429 `Problem` where the workspace may not have so many under way: the call
        takes no key then. A repeat is refused only where nothing shows that Kafka has its runs.
        """
        workspace = call.caller.workspace
        if not self.bound.covers(workspace):
            return (await self.claim(call)).stem
        earlier = await self.find_claim(call)
        stem = new_stem() if earlier is None else earlier.stem
        runs = dict.fromkeys(self.name_runs(workspace, stem, lead_ids), 0)
        refusal = await self.bound.refuse(workspace, runs, is_repeat=earlier is not None)
        if refusal is not None:
            raise refusal
        # A repeat claims too: its id is handed out anew, and its key is kept from now.
        claimed = await self.claim(call, stem)
        if claimed.stem != stem:
            # Another call with the key was first, a moment ago, and has places of its own.
            self.bound.give_back(workspace, runs)
        return claimed.stem

    def name_runs(self, workspace: str, stem: bytes, lead_ids: Sequence[str]) -> list[str]:
        """The ids of a call's runs: one for each lead, or without any that of its one run."""
        stems = [derive_stem(stem, lead_id) for lead_id in lead_ids] if lead_ids else [stem]
        return [self.issuer.name("run", workspace, each) for each in stems]

    async def claim(self, call: Call, stem: bytes | None = None) -> Claimed:
        """The stem of the call's ids: that of the first call with the same Idempotency-Key, else
        the one that is given, or a new one.

        Raises a 422 `Problem` if that call said something else, and `DatabaseUnavailable`.
        """
        stem = stem or new_stem()
        if call.key is None:
            return Claimed(stem, is_repeated=False)
        workspace = call.caller.workspace
        claim = Claim(
            workspace,
            call.route,
            check_key(call.key),
            sha256(call.says).digest(),
            UUID(self.issuer.name("run", workspace, stem)),
        )
        first = await self._claims.submit(claim)
        return _agree(call, first, is_repeated=first.id != claim.id)

    async def find_claim(self, call: Call) -> Claimed | None:
        """What `claim` gave an earlier call with the same Idempotency-Key; None if there was none.

        For calls that may be refused: a refused one must not look as if it had been made. Raises as
        `claim` does.
        """
        if call.key is None:
            return None
        route = (call.caller.workspace, call.route, check_key(call.key))
        found = await self._store.find_claim(*route)
        return None if found is None else _agree(call, found, is_repeated=True)

    async def launch(
        self,
        call: Call,
        orders: Sequence[Order],
        traceparents: Sequence[str],
        *,
        until: float,
        ids: Mapping[str, JsonValue],
    ) -> None:
        """Publish the orders' runs. Raises a 413 `Problem`, or 503 with `ids` in it."""
        now = datetime.now(UTC)
        messages = []
        total = 0
        if any(map(is_to_be_covered, orders)):
            orders = await cover_orders(self._opener, call.caller.workspace, orders)
        for order, traceparent in zip(orders, traceparents, strict=True):
            if telemetry.is_recorded(traceparent):
                traceparent = _note_creation(call, order, traceparent)
            elif telemetry.is_tracing():
                # An id of its own, under which the run's start is told should it fail.
                traceparent = telemetry.child_traceparent(traceparent)
            message = _to_message(call.caller, order, now, traceparent)
            size = size_of(message)
            total += size
            if size > MAX_MESSAGE_BYTES:
                raise too_large(
                    "Definition, lead and input together may have at most "
                    f"{MAX_MESSAGE_BYTES:,} bytes."
                )
            if total > CALL_BYTES:
                raise too_large("These runs are too much for one call: start fewer at a time.")
            messages.append(message)
        try:
            await self._intake.publish(messages, until=until)
        except BrokerUnavailable as error:
            self.bound.give_back(call.caller.workspace, (order.run_id for order in orders))
            log.warning("start_not_acknowledged", run_ids=_run_ids(orders), error=error)
            raise unavailable(
                "Kafka did not acknowledge, so whether this counts is open. Call again with the "
                "same Idempotency-Key.",
                members=ids,
            ) from error
        self.bound.keep(call.caller.workspace, (order.run_id for order in orders))
        log.debug("start_acknowledged", count=len(orders), run_id=orders[0].run_id)


def _run_ids(orders: Sequence[Order]) -> list[str]:
    """Some of them, for the log."""
    return [order.run_id for order in orders[:10]]


def _agree(call: Call, first: Claim, *, is_repeated: bool) -> Claimed:
    if first.body_hash != sha256(call.says).digest():
        text = "another call was made with this key already: use a new key for a new call"
        raise invalid([Fault(text, parameter="Idempotency-Key")])
    return Claimed(first.id.bytes[:STEM_BYTES], is_repeated=is_repeated)


def _note_creation(call: Call, order: Order, traceparent: str) -> str:
    """Record that a message is made; its context. Of many runs each has a trace of its own, which
    begins here with a link to the call."""
    workspace = call.caller.workspace
    context = telemetry.child_traceparent(traceparent)
    is_of_call = telemetry.trace_id_of(traceparent) == telemetry.trace_id_of(call.traceparent)
    links = () if is_of_call else tuple(filter(telemetry.is_recorded, (call.traceparent,)))
    telemetry.note_span(
        _CREATE,
        context=context,
        parent=traceparent if is_of_call else "",
        kind="producer",
        attributes={
            **_CREATION,
            WORKSPACE: workspace,
            RUN: order.run_id,
            WORKFLOW: order.workflow_id,
            LEAD: telemetry.pseudonyms.of_lead(workspace, order.lead.id),
        },
        links=links,
    )
    return context


def _to_message(caller: Principal, order: Order, now: datetime, traceparent: str) -> Outgoing:
    run_id, workspace = order.run_id, caller.workspace
    request = RunRequested(
        workspace=workspace,
        run_id=run_id,
        workflow_id=order.workflow_id,
        version=order.version,
        graph=order.graph,
        lead=order.lead,
        input=order.input,
        sealed=order.sealed,
        execution_id=order.execution_id,
        requested_at=now,
        requested_by=requester_of(caller),
    )
    envelope = Envelope(
        id=run_id,
        type=RunRequested.TYPE,
        source=SOURCE,
        subject=run_id,
        workspace=workspace,
        time=now.isoformat(),
        traceparent=traceparent,
        execution_id=order.execution_id or "",
        workflow_id=order.workflow_id,
    )
    return Outgoing(EXECUTIONS_REQUESTED_V1.name, run_id, request.to_json(), envelope.to_headers())


def is_to_be_covered(order: Order) -> bool:
    """Whether it has something personal in the open: an input, or a direct call's config, of a
    lead that is sealed."""
    if order.lead.sealed is None:
        return False
    return bool(order.input) or not order.version


async def cover_orders(opener: Opener, workspace: str, orders: Sequence[Order]) -> Sequence[Order]:
    """The orders with what is personal sealed. Raises a 404 `Problem` for a lead that was erased
    meanwhile, and `Opener`'s."""
    ids = {order.lead.sealed.key for order in orders if order.lead.sealed is not None}
    keys = await opener.find_keys(workspace, ids)
    covered = []
    for order in orders:
        sealed = order.lead.sealed
        if sealed is None or not is_to_be_covered(order):
            covered.append(order)
            continue
        key = keys.get(sealed.key)
        if key is None:
            raise not_found("There is no such lead.", [Fault("there is no such lead", "/leadId")])
        parts: dict[str, JsonValue] = {"input": order.input}
        graph = order.graph
        if not order.version:
            parts["graph"] = graph.model_dump(mode="json", by_alias=True, exclude_none=True)
            bare = tuple(node.model_copy(update={"config": {}}) for node in graph.nodes)
            graph = graph.model_copy(update={"nodes": bare})
        hidden = Sealed.model_validate(key.seal(orjson.dumps(parts), CALL, order.run_id))
        covered.append(order._replace(input={}, graph=graph, sealed=hidden))
    return covered


def check_key(key: str) -> str:
    """An Idempotency-Key that can be one. Raises a 422 `Problem`."""
    if not 1 <= len(key) <= KEY_CHARACTERS or not (key.isascii() and key.isprintable()):
        text = f"must be 1 to {KEY_CHARACTERS} printable ASCII characters"
        raise invalid([Fault(text, parameter="Idempotency-Key")])
    return key
