"""A connector's worker without Kafka and PostgreSQL: the real kernel on a ledger in memory.

Records go in by `deliver`, statuses come out in `statuses`. Several rigs on one store are several
processes; `kill` is `kill -9` as far as ledger, journal and provider can tell.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncpg
from mirsal_contracts.commands import RunNode
from mirsal_contracts.message import Envelope
from mirsal_contracts.statuses import (
    NODE_STATUS,
    NodeFailed,
    NodeSucceeded,
    NodeUnconfirmed,
)
from mirsal_contracts.topics import COMMANDS, DEAD_LETTERS, NODE_STATUSES_V1
from mirsal_runtime.accounts import Pool
from mirsal_runtime.attempts import AttemptMaker
from mirsal_runtime.broker import BrokerUnavailable, Outgoing
from mirsal_runtime.claims import ClaimDesk
from mirsal_runtime.connector import Connector
from mirsal_runtime.daily_cap import DailyCap
from mirsal_runtime.journal import Journal
from mirsal_runtime.presence import Presence
from mirsal_runtime.reporting import Outbox, Reporter
from mirsal_runtime.serving import Server
from mirsal_runtime.suppressions import Suppressions
from mirsal_runtime.tasks import cancel
from mirsal_runtime.upkeep import settle_orphans
from mirsal_runtime.vault.keys import GivenKeys
from mirsal_runtime.vault.lead_keys import LeadKeys
from mirsal_runtime.watermarks import Watermark
from mirsal_runtime.worker import Office, Worker
from pydantic import SecretStr

from mirsal_testing.commands import command_message
from mirsal_testing.memory_ledger import LedgerStore, MemoryLedger

WAIT_SECONDS = 10.0

Status = NodeSucceeded | NodeFailed | NodeUnconfirmed


@dataclass(frozen=True)
class FakeRecord:
    """A record as aiokafka would give it."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class FakeKafka:
    """Takes messages; while `away` it takes none."""

    def __init__(self) -> None:
        self.messages: list[Outgoing] = []
        self.away = False
        self.news = asyncio.Event()

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """See `mirsal_runtime.reporting.Sender`."""
        await asyncio.sleep(0)
        if self.away:
            raise BrokerUnavailable("the fake is away")
        self.messages += messages
        self.news.set()

    def of(self, topic: str) -> list[Outgoing]:
        """What was sent to a topic."""
        return [message for message in self.messages if message.topic == topic]


async def _no_rows(_ids: list[str]) -> Sequence[asyncpg.Record]:
    return ()


class WorkerRig:
    """One process of a connector. Use it with `async with`."""

    def __init__(
        self,
        connector: Connector[Any, Any, Any],
        folder: Path,
        *,
        store: LedgerStore | None = None,
        kafka: FakeKafka | None = None,
        instance: str = "worker-1",
        slots: int = 50,
        workspace_slots: int | None = None,
        dead_letter_limit: int = 100,
        keys: LeadKeys | None = None,
        cap: DailyCap | None = None,
        suppressions: Suppressions | None = None,
    ) -> None:
        self._cap = cap
        self._suppressions = suppressions
        self._keys = keys or LeadKeys(_no_rows, GivenKeys(SecretStr("")))
        self.connector = connector
        self.store = store or LedgerStore()
        self.kafka = kafka or FakeKafka()
        self.ledger = MemoryLedger(self.store)
        self._folder = folder
        self._instance = instance
        self._pool = Pool(slots, most=workspace_slots)
        self._dead_letter_limit = dead_letter_limit
        self._stack = contextlib.AsyncExitStack()
        self._loops: list[asyncio.Task[None]] = []
        self._offset = 0
        self.watermark = Watermark()
        self.presence = Presence(self.ledger)
        self.worker: Worker
        self._journal: Journal

    async def __aenter__(self) -> Self:
        source = f"/{self._instance}"
        self._journal = Journal.take(self._folder, self._instance)
        outbox = Outbox(self.kafka)
        await settle_orphans(self._journal, self.ledger, outbox, source=source)
        self._journal.begin(self.ledger.holder)
        await self.presence.enter()
        resource = await self._stack.enter_async_context(self.connector.open())
        repeatable = self.connector.repeatable
        desk = ClaimDesk(self.ledger, self._journal, self.presence, repeatable=repeatable)
        maker = AttemptMaker(
            self.connector, resource, desk, self._keys, self._cap, self._suppressions
        )
        reporter = Reporter(self.ledger, self._journal, outbox, source)
        name = self.connector.name
        self.worker = Worker(
            Office(
                name,
                source,
                COMMANDS[name].name,
                DEAD_LETTERS[name].name,
                ordered=self.connector.ordered,
            ),
            self._pool,
            Server(name, maker, desk, reporter, self.presence),
            outbox,
            ledger=self.ledger,
            presence=self.presence,
            stop_calls=maker.stop_all,
            dead_letter_limit=self._dead_letter_limit,
        )
        self._loops = [
            asyncio.create_task(self.presence.run()),
            asyncio.create_task(self.worker.aside.run()),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._loops:
            await self.stop(seconds=0.0)

    def deliver(self, *commands: RunNode, traceparent: str | None = None) -> str | None:
        """Have the worker accept commands; its answer."""
        return self.deliver_messages(
            *(command_message(command, traceparent=traceparent) for command in commands)
        )

    def deliver_messages(self, *messages: Outgoing) -> str | None:
        """Have the worker accept records; its answer."""
        records = []
        for message in messages:
            key = message.key.encode() if isinstance(message.key, str) else message.key
            records.append(FakeRecord(0, self._offset, key, message.value, message.headers))
            self._offset += 1
        return self.worker.accept(records, self.watermark)

    @property
    def statuses(self) -> list[Status]:
        """All statuses that were sent, in order."""
        messages = self.kafka.of(NODE_STATUSES_V1.name)
        return [NODE_STATUS.validate_json(message.value or b"") for message in messages]

    async def run(self, command: RunNode) -> Status:
        """Deliver a command; its status."""
        self.deliver(command)
        return await self.status_of(command)

    async def status_of(self, command: RunNode, *, count: int = 1) -> Status:
        """The `count`th status of a command, once it is there."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                self.kafka.news.clear()
                found = [each for each in self.statuses if each.command_id == command.command_id]
                if len(found) >= count:
                    return found[count - 1]
                await self.kafka.news.wait()

    async def until_done(self) -> None:
        """Returns when all that was delivered is done."""
        async with asyncio.timeout(WAIT_SECONDS):
            while len(self.watermark):  # noqa: ASYNC110 - nothing tells when the last is closed
                await asyncio.sleep(0.005)

    def headers_of(self, command: RunNode) -> Mapping[str, str]:
        """The headers of the command's status, by the names of `Envelope`."""
        for message in self.kafka.of(NODE_STATUSES_V1.name):
            envelope = Envelope.from_headers(message.headers)
            if envelope.command_id == command.command_id:
                return envelope._asdict()
        return {}

    async def fall_silent(self) -> None:
        """Beat no more, as a process that is paused."""
        await cancel(self._loops[0])

    def miss(self, other: "WorkerRig") -> None:
        """Have seen no beat of another for long."""
        holder, now = other.ledger.holder, time.monotonic()
        for second in range(6):
            self.presence.observer.saw({holder: self.store.beats[holder]}, now + second)

    async def stop(self, *, seconds: float = 5.0) -> None:
        """End as after SIGTERM, with so much time for what is in flight."""
        await self.worker.drain(seconds, 1.0)
        await cancel(*self._loops)
        self._loops = []
        await self._stack.aclose()
        self._journal.close()

    async def kill(self) -> None:
        """End as by SIGKILL: nothing more reaches ledger, Kafka or journal."""
        self.ledger.die()
        self._journal.close()
        await cancel(*self._loops, *self.worker.tasks)
        self._loops = []
        await self._stack.aclose()
