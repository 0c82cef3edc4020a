"""The process: who looks, who sends, and what it says of its health."""

import asyncio
from datetime import timedelta

from mirsal_runtime import telemetry
from mirsal_runtime.endings import told_faults
from mirsal_runtime.health import HealthServer
from mirsal_runtime.outbound import GuardedClient
from mirsal_runtime.postgres import close_pool, open_pool
from mirsal_runtime.process import run_process
from mirsal_runtime.tasks import cancel
from mirsal_runtime.vault.keys import GivenKeys
from mirsal_runtime.webhook_secrets import SecretSealer

from webhook_worker.looking import Looker
from webhook_worker.sending import Sender
from webhook_worker.settings import WebhookSettings
from webhook_worker.store import WebhookStore

SERVICE = "webhook-worker"
SCHEMA = "webhook_worker"
ROLE = "mirsal_webhook_worker"
"""What sessions act as. It owns nothing, so the tables' policies hold for it."""
STATEMENT_SECONDS = 30.0


async def serve(settings: WebhookSettings, stop: asyncio.Event) -> None:
    """Run until `stop`, let the calls under way end, and leave."""
    pool = await open_pool(
        settings.database_url,
        role=ROLE,
        schema=SCHEMA,
        application=settings.instance,
        statement_seconds=STATEMENT_SECONDS,
    )
    store = WebhookStore(pool)
    keys = GivenKeys(settings.vault_keys, settings.vault_keys_file)
    sealer = SecretSealer(keys, settings.webhook_keys)
    health = HealthServer(settings, checks={"database": store.check, "keys": sealer.check})
    try:
        await health.start()
        async with GuardedClient(
            settings.outbound_rules,
            seconds=settings.webhook_call_seconds,
            calls=settings.webhook_calls,
        ) as client:
            sender = Sender(store, client, sealer, settings)
            keep = timedelta(days=settings.webhook_keep_days)
            looker = Looker(store, sender.wake, keep)
            await _run_until(stop, looker, sender)
    finally:
        await health.stop()
        await close_pool(pool)


async def _run_until(stop: asyncio.Event, looker: Looker, sender: Sender) -> None:
    """A loop that ends by a fault of its own ends the process: another one is started."""
    loops = [asyncio.create_task(each()) for each in (looker.run, looker.keep_small, sender.run)]
    stopping = asyncio.create_task(stop.wait())
    ended, _ = await asyncio.wait([stopping, *loops], return_when=asyncio.FIRST_COMPLETED)
    await cancel(stopping, *loops)
    await sender.drain()
    for task in ended - {stopping}:
        task.result()


def main() -> None:
    """Run the process; never returns."""
    with told_faults():
        settings = WebhookSettings()
        telemetry.configure(settings, service=SERVICE)
    run_process(lambda stop: serve(settings, stop))
