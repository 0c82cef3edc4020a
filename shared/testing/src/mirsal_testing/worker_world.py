"""A provider that counts its effects, and the world that several workers share, for tests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from mirsal_contracts.nodes.noop import NoopConfig
from mirsal_runtime.attempt import Attempt
from mirsal_runtime.connector import Connector
from mirsal_runtime.vault.lead_keys import LeadKeys
from pydantic import BaseModel

from mirsal_testing.memory_ledger import LedgerStore
from mirsal_testing.worker_rig import FakeKafka, WorkerRig

Step = Callable[[], Awaitable[None]]


class Sent(BaseModel):
    """The result."""

    number: int


class Provider:
    """Counts its effects, by run. What happens before the claim and in the call can be set."""

    def __init__(self) -> None:
        self.effects: list[str] = []
        self.prepared = 0
        self.before: Step | None = None
        self.during: Step | None = None
        self.calling = asyncio.Event()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Provider"]:
        """The provider is its own resource."""
        yield self

    async def send(self, _params: NoopConfig, attempt: Attempt, _own: "Provider") -> Sent:
        """Have the effect; what is set for `before` and `during` comes first, and after it."""
        self.prepared += 1
        if self.before is not None:
            await self.before()
        await attempt.claim()
        self.effects.append(attempt.command.run_id)
        self.calling.set()
        if self.during is not None:
            await self.during()
        return Sent(number=len(self.effects))

    def connector(self, *, repeatable: bool = False) -> Connector[NoopConfig, Sent, "Provider"]:
        """The connector that sends to this provider."""
        return Connector("noop", NoopConfig, Sent, self.open, self.send, repeatable)


class World:
    """The store, the provider and Kafka that several processes share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = LedgerStore()
        self.kafka = FakeKafka()
        self.provider = Provider()

    def process(
        self,
        instance: str = "worker-1",
        *,
        repeatable: bool = False,
        slots: int = 50,
        dead_letter_limit: int = 100,
        keys: LeadKeys | None = None,
    ) -> WorkerRig:
        """One process; use it with `async with`."""
        return WorkerRig(
            self.provider.connector(repeatable=repeatable),
            self.folder,
            store=self.store,
            kafka=self.kafka,
            instance=instance,
            slots=slots,
            dead_letter_limit=dead_letter_limit,
            keys=keys,
        )


def raising(error: BaseException) -> Step:
    """A step that raises `error`."""

    async def step() -> None:
        await asyncio.sleep(0)
        raise error

    return step


async def for_ever() -> None:
    """A step that does not end."""
    await asyncio.Event().wait()


def wait_for(gate: asyncio.Event) -> Step:
    """A step that ends when `gate` is set."""

    async def step() -> None:
        await gate.wait()

    return step


async def until(condition: Callable[[], bool]) -> None:
    """Returns once the condition holds; raises `TimeoutError` after 5 s."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - conditions tell nobody
            await asyncio.sleep(0.005)
