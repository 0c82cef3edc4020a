"""Settles batches on real tables, with a Kafka that is only played: for tests."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from mirsal_contracts.commands import RunNode
from mirsal_contracts.message import Envelope, Message
from mirsal_contracts.requests import RunRequested
from mirsal_contracts.statuses import Fault, NodeFailed, NodeSucceeded
from mirsal_contracts.timers import TimerFired
from mirsal_contracts.topics import (
    DEAD_LETTERS_ORCHESTRATOR_V1,
    EXECUTIONS_REQUESTED_V1,
    NODE_STATUSES_V1,
    RUN_TIMERS_V1,
)
from mirsal_contracts.workflows import Graph
from mirsal_runtime.broker import BrokerUnavailable, Outgoing
from mirsal_runtime.vault.keys import GivenKeys
from mirsal_runtime.vault.lead_keys import KeyRow, LeadKeys
from pydantic import SecretStr

from orchestrator.decide import Rules
from orchestrator.intake.privacy import Privacy
from orchestrator.intake.settling import Settler
from orchestrator.rehearsal import LEAD, draw
from orchestrator.store.clock import DatabaseClock
from orchestrator.store.runs import Pool, RunStore

REQUESTS, STATUSES, TIMERS = (
    topic.name for topic in (EXECUTIONS_REQUESTED_V1, NODE_STATUSES_V1, RUN_TIMERS_V1)
)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SEQUENCE = draw(["a", "b"], "a>b")


@dataclass
class Record:
    """A record as the intake reads it."""

    topic: str
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()
    key: bytes | None = None
    partition: int = 3
    offset: int = 17


@dataclass
class Outbox:
    """Keeps what is sent; is away for some calls."""

    sent: list[Outgoing] = field(default_factory=list)
    refusals: int = 0
    calls: list[int] = field(default_factory=list)

    async def send(self, messages: Sequence[Outgoing]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise BrokerUnavailable("away")
        self.calls.append(sum(len(each.value or b"") for each in messages))
        self.sent += messages

    def take(self) -> list[RunNode]:
        """The commands since the last call."""
        sent, self.sent = self.sent, []
        return [RunNode.model_validate_json(each.value or b"") for each in sent]

    def take_letters(self) -> list[str]:
        """The reasons of the dead letters since the last call."""
        sent, self.sent = self.sent, []
        letters = [each for each in sent if each.topic == DEAD_LETTERS_ORCHESTRATOR_V1.name]
        return [dict(each.headers)["dead_letter_reason"].decode() for each in letters]


class GivenUp(Exception):
    """The batch was given up."""


class Desk:
    """One orchestrator process's settler, with its outbox."""

    def __init__(
        self,
        pool: Pool,
        rules: Rules | None = None,
        keys: LeadKeys | None = None,
        kept: timedelta | None = None,
    ) -> None:
        self.outbox = Outbox()
        self.store = RunStore(pool, DatabaseClock(), instance="orchestrator-1")
        self.settler = Settler(
            self.store, self.outbox, Privacy(keys or no_keys()), rules=rules, kept=kept
        )
        self.patience = 10

    async def settle(self, *records: Record) -> None:
        await self.settler.settle(records, self._wait)

    async def _wait(self, seconds: float) -> None:
        self.patience -= 1
        if self.patience < 0:
            raise GivenUp
        await asyncio.sleep(0)


def no_keys() -> LeadKeys:
    """No lead has a key."""

    async def find_rows(ids: list[str]) -> Sequence[KeyRow]:
        return ()

    return LeadKeys(find_rows, GivenKeys(SecretStr("")))


def record(topic: str, message: Message) -> Record:
    headers = Envelope("id", message.TYPE, "test", "", "w").to_headers()
    return Record(topic, message.to_json(), headers)


def request(graph: Graph = SEQUENCE, *, version: int = 1, lead_id: str = "lead-1") -> RunRequested:
    return RunRequested(
        workspace="w",
        run_id=str(uuid4()),
        workflow_id="flow",
        version=version,
        graph=graph,
        lead=LEAD.model_copy(update={"id": lead_id}),
        requested_at=NOW,
    )


def ids(command: RunNode) -> dict[str, object]:
    """The members that a command and its status share."""
    return {**command.model_dump(), "started_at": NOW, "ended_at": NOW}


def success(command: RunNode) -> Record:
    return record(STATUSES, NodeSucceeded.model_validate(ids(command)))


def failure(command: RunNode, kind: str = "transient") -> Record:
    error = Fault(code="broken", message="it broke")
    return record(
        STATUSES, NodeFailed.model_validate({**ids(command), "kind": kind, "error": error})
    )


def timer(run_id: str, due_at: datetime = NOW) -> Record:
    return record(TIMERS, TimerFired(workspace="w", run_id=run_id, due_at=due_at))
