"""The process: the intake, the poller and the sweeper, and what it says of its health."""

import asyncio

from mirsal_contracts.topics import TOPICS
from mirsal_runtime import telemetry
from mirsal_runtime.broker import Publisher
from mirsal_runtime.endings import told_faults
from mirsal_runtime.health import Check, HealthServer
from mirsal_runtime.postgres import open_pool
from mirsal_runtime.process import run_process
from mirsal_runtime.standstill import Standstill
from mirsal_runtime.tasks import cancel
from mirsal_runtime.topics import TopicsPresent
from mirsal_runtime.vault.lead_keys import open_lead_keys

from orchestrator.decide import Rules
from orchestrator.intake import Intake
from orchestrator.intake.index import LetterIndex
from orchestrator.intake.privacy import Privacy
from orchestrator.intake.settling import Settler
from orchestrator.retention import Retention
from orchestrator.settings import OrchestratorSettings
from orchestrator.store.clock import DatabaseClock
from orchestrator.store.faults import told_apart
from orchestrator.store.retention import RetentionStore
from orchestrator.store.runs import ROLE, SCHEMA, SQL, Pool, RunStore
from orchestrator.store.timers import TimerStore
from orchestrator.sweeper import Sweeper
from orchestrator.timers import Poller

SERVICE = "orchestrator"
CLOSE_SECONDS = 5.0


async def serve(settings: OrchestratorSettings, stop: asyncio.Event) -> None:
    """Run until `stop`, finish the batch under way, and leave."""
    pool = await open_pool(
        settings.database_url, role=ROLE, schema=SCHEMA, application=settings.instance
    )
    publisher = Publisher(settings)
    clock = DatabaseClock()
    timers = TimerStore(pool, clock)
    poller = Poller(timers, publisher)
    rules = Rules(command_seconds=settings.command_seconds)
    # Each lane counts in rows of its own: two that wrote one row would wait in turn.
    stores = [
        RunStore(pool, clock, instance=f"{settings.instance}/{lane}")
        for lane in range(settings.lanes)
    ]
    keys = open_lead_keys(pool)
    privacy = Privacy(keys)
    settlers = [
        Settler(
            store, publisher, privacy, prefix=settings.topic_prefix, rules=rules, kept=settings.kept
        )
        for store in stores
    ]
    intake = Intake(settings, settlers, expect=poller.expect, batch_records=settings.batch_records)
    letters = stores[0].letters
    index = LetterIndex(settings, letters, unclaimed_by=settings.unclaimed_letters_to)
    health = HealthServer(settings, checks=_checks(settings, pool, intake), alive=intake.find_hang)
    try:
        await health.start()
        # One that ends by a fault of its own ends the process: whoever started it starts another.
        async with asyncio.TaskGroup() as tasks:
            sweeper = Sweeper(timers, keys, retention=_retention(settings, pool))
            others = [tasks.create_task(each.run()) for each in (poller, sweeper, index)]
            await intake.run(stop)
            await cancel(*others)
    finally:
        await health.stop()
        await publisher.stop()
        await _close(pool)


def _retention(settings: OrchestratorSettings, pool: Pool) -> Retention | None:
    return None if settings.kept is None else Retention(RetentionStore(pool), settings.kept)


def _checks(settings: OrchestratorSettings, pool: Pool, intake: Intake) -> dict[str, Check]:
    async def reach_database() -> str | None:
        with told_apart():
            await pool.fetch(SQL["find_tables"])
        return None

    async def have_partitions() -> str | None:
        return None if intake.has_assignment else "the consumer group has not assigned partitions"

    return {
        "database": reach_database,
        "topics": TopicsPresent(settings, TOPICS),
        "assignment": have_partitions,
        "lag": Standstill([topic.name for topic in TOPICS]),
    }


async def _close(pool: Pool) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await pool.close()
    except TimeoutError:
        pool.terminate()


def main() -> None:
    """Run the process; never returns."""
    with told_faults():
        settings = OrchestratorSettings()
        telemetry.configure(settings, service=SERVICE)
    run_process(lambda stop: serve(settings, stop))
