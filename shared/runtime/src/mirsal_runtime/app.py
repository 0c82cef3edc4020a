"""Makes a process of a connector: `connector_app(connector).run()` is all of its main module."""

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar
from uuid import uuid4

import structlog
from aiokafka.errors import KafkaError
from mirsal_contracts.topics import COMMANDS, DEAD_LETTERS, NODE_STATUSES_V1

from mirsal_runtime import metrics, telemetry
from mirsal_runtime.accounts import Pool
from mirsal_runtime.attempts import AttemptMaker
from mirsal_runtime.broker import Publisher
from mirsal_runtime.claims import ClaimDesk
from mirsal_runtime.connector import Connector
from mirsal_runtime.consumption import Consumption
from mirsal_runtime.daily_cap import DailyCap
from mirsal_runtime.health import Check, HealthServer
from mirsal_runtime.journal import Journal, JournalTaken
from mirsal_runtime.ledger import LedgerUnavailable
from mirsal_runtime.log_faults import Told, name_fault
from mirsal_runtime.postgres import close_pool, open_pool
from mirsal_runtime.postgres_ledger import PostgresLedger
from mirsal_runtime.presence import Presence
from mirsal_runtime.process import run_process
from mirsal_runtime.reporting import Outbox, Reporter
from mirsal_runtime.serving import Server
from mirsal_runtime.settings import ConnectorSettings
from mirsal_runtime.standstill import Standstill
from mirsal_runtime.suppressions import open_suppressions
from mirsal_runtime.tasks import cancel
from mirsal_runtime.topics import TopicsPresent
from mirsal_runtime.upkeep import keep_ledger_small, settle_orphans
from mirsal_runtime.vault.lead_keys import open_lead_keys
from mirsal_runtime.worker import Office, Worker

if TYPE_CHECKING:
    import asyncpg

# All that ends a process takes under 28 s, also while nothing answers: Kubernetes gives it 30.
DRAIN_SECONDS = 14.0
LAST_SECONDS = 2.0
RETRY_SECONDS = 0.5
LEAVE_SECONDS = 1.0
STATEMENT_SECONDS = 5.0
LOCK_SECONDS = 2.5
DAY_SECONDS = 86_400.0

AnswerT = TypeVar("AnswerT")

log = structlog.get_logger(__name__)


class TopicsNotReady(Told):
    """The connector's topics are not as it needs them."""


class Parts(NamedTuple):
    """What a process is made of once it is set up."""

    worker: Worker
    consumption: Consumption
    presence: Presence
    ledger: PostgresLedger


def connector_app(
    connector: Connector[Any, Any, Any],
    settings: ConnectorSettings | None = None,
    *,
    service: str | None = None,
) -> "App":
    """The process that serves `connector`.

    `service` is its name (`<connector>-worker` unless given), its consumer group, and with
    underscores its schema in PostgreSQL; it acts as the role `mirsal_<schema>`. Settings are read
    from the environment unless given.
    """
    return App(
        connector, settings or ConnectorSettings(), service=service or f"{connector.name}-worker"
    )


class App:
    """One connector's process."""

    def __init__(
        self,
        connector: Connector[Any, Any, Any],
        settings: ConnectorSettings,
        *,
        service: str,
    ) -> None:
        self._connector = connector
        self._settings = settings
        self._service = service
        self._trouble: str | None = "is starting"
        self._parts: Parts | None = None
        self._topics = TopicsPresent(
            settings, [COMMANDS[connector.name], DEAD_LETTERS[connector.name], NODE_STATUSES_V1]
        )

    def run(self) -> NoReturn:
        """Serve until SIGTERM or SIGINT; exits with 0, or with 1 after a fault."""
        telemetry.configure(self._settings, service=self._service)
        run_process(self.serve)

    async def serve(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then let what is in flight end."""
        health = HealthServer(self._settings, checks=self._checks(), alive=self._dead)
        publisher = Publisher(self._settings)
        await health.start()
        try:
            async with AsyncExitStack() as stack:
                parts = await unless(stop, self._set_up(stack, publisher))
                if parts is not None:
                    self._parts, self._trouble = parts, None
                    log.info("serving", connector=self._connector.name)
                    await self._serve(parts, stop)
        finally:
            await publisher.stop()
            await health.stop()

    async def _serve(self, parts: Parts, stop: asyncio.Event) -> None:
        """Run the process's loops; what is in flight ends before they do."""
        keep = COMMANDS[self._connector.name].retention_hours * 3600 + DAY_SECONDS
        reading = asyncio.create_task(parts.consumption.run())
        others = [
            asyncio.create_task(parts.presence.run()),
            asyncio.create_task(parts.worker.aside.run()),
            asyncio.create_task(keep_ledger_small(parts.ledger, keep)),
        ]
        stopping = asyncio.create_task(stop.wait())
        ended, _ = await asyncio.wait(
            [stopping, reading, *others], return_when=asyncio.FIRST_COMPLETED
        )
        self._trouble = "is stopping"
        await cancel(reading)
        await parts.worker.drain(DRAIN_SECONDS, LAST_SECONDS)
        await parts.consumption.close()
        await cancel(stopping, *others)
        for task in ended - {stopping}:
            task.result()

    async def _set_up(self, stack: AsyncExitStack, publisher: Publisher) -> Parts:
        """Everything up to the first record, in the order that loses nothing."""
        settings, connector = self._settings, self._connector
        source = f"/{self._service}"
        journal = await self._take_journal()
        stack.callback(journal.close)
        connections = await _open_connections(settings, self._service.replace("-", "_"))
        stack.push_async_callback(close_pool, connections)
        ledger = PostgresLedger(connections, holder=uuid4(), instance=settings.instance)
        presence = Presence(ledger)
        outbox = Outbox(publisher)
        self._trouble = "waits for PostgreSQL"
        await settle_orphans(journal, ledger, outbox, source=source)
        journal.begin(ledger.holder)
        await presence.enter()
        stack.push_async_callback(_leave, ledger)
        await self._wait_for_topics()
        resource = await stack.enter_async_context(connector.open())
        desk = ClaimDesk(ledger, journal, presence, repeatable=connector.repeatable)
        cap = DailyCap(connections, settings.daily_recipients)
        lists = open_suppressions(connections, connector.name)
        maker = AttemptMaker(connector, resource, desk, open_lead_keys(connections), cap, lists)
        reporter = Reporter(ledger, journal, outbox, source)
        office = Office(
            connector.name,
            source,
            commands=COMMANDS[connector.name].name,
            dead_letters=DEAD_LETTERS[connector.name].name,
            ordered=connector.ordered,
        )
        worker = Worker(
            office,
            _make_pool(settings),
            Server(connector.name, maker, desk, reporter, presence),
            outbox,
            ledger=ledger,
            presence=presence,
            stop_calls=maker.stop_all,
            dead_letter_limit=settings.dead_letter_limit,
        )
        consumption = Consumption(
            settings, office.commands, group=self._service, window=settings.window, taker=worker
        )
        metrics.ATTEMPTS_SET_ASIDE.labels(connector.name).set_function(worker.aside.__len__)
        return Parts(worker, consumption, presence, ledger)

    async def _take_journal(self) -> Journal:
        settings = self._settings
        while True:
            try:
                return Journal.take(settings.state_dir / "journals", settings.instance)
            except (JournalTaken, OSError) as error:
                if self._trouble != str(error):
                    log.error("journal_not_taken", error=error)
                self._trouble = str(error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _wait_for_topics(self) -> None:
        while True:
            try:
                reason = await self._topics()
            except (KafkaError, OSError) as error:
                reason = f"Kafka does not answer: {name_fault(error)}"
            if reason is None:
                return
            if self._trouble != reason:
                log.warning("topics_not_ready", error=TopicsNotReady(reason))
            self._trouble = reason
            await asyncio.sleep(RETRY_SECONDS)

    def _checks(self) -> Mapping[str, Check]:
        async def process() -> str | None:
            return self._trouble

        async def ledger() -> str | None:
            parts = self._parts
            return None if parts is None or parts.presence.answers else "PostgreSQL is away"

        async def commands() -> str | None:
            return None if self._parts is None else self._parts.consumption.reason

        async def topics() -> str | None:
            return None if self._parts is None else await self._topics()

        return {
            "process": process,
            "ledger": ledger,
            "commands": commands,
            "topics": topics,
            "lag": Standstill([COMMANDS[self._connector.name].name]),
        }

    def _dead(self) -> str | None:
        return None if self._parts is None else self._parts.consumption.dead()


async def unless(stop: asyncio.Event, work: Coroutine[None, None, AnswerT]) -> AnswerT | None:
    """Do `work`, or cancel it and answer None when `stop` is set first."""
    task = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
    await cancel(stopping)
    if task.done():
        return task.result()
    await cancel(task)
    return None


async def _open_connections(
    settings: ConnectorSettings, schema: str
) -> "asyncpg.Pool[asyncpg.Record]":
    return await open_pool(
        settings.database_url,
        role=f"mirsal_{schema}",
        schema=schema,
        application=settings.instance,
        statement_seconds=STATEMENT_SECONDS,
        lock_seconds=LOCK_SECONDS,
    )


def _make_pool(settings: ConnectorSettings) -> Pool:
    return Pool(
        settings.slots,
        most=settings.workspace_slots,
        backlog=settings.workspace_backlog,
        window=settings.window,
    )


async def _leave(ledger: PostgresLedger) -> None:
    with suppress(LedgerUnavailable, TimeoutError):
        async with asyncio.timeout(LEAVE_SECONDS):
            await ledger.leave()
