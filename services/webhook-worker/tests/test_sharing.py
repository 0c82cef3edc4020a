"""Workers share the work: bounds hold over all, slow ones hold up nobody, a kill loses nothing."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from mirsal_testing.webhook_receiver import Receiver, Reply
from mirsal_testing.webhook_world import World
from webhook_worker.settings import WebhookSettings

Work: TypeAlias = Callable[..., AbstractAsyncContextManager[None]]
MakeSettings: TypeAlias = Callable[..., WebhookSettings]
RUNS = 45
KILLS = 2


async def test_of_an_endpoint_so_many_calls_are_under_way_and_others_do_not_wait(
    world: World, receiver: Receiver, work: Work
) -> None:
    slow = await world.add_endpoint(f"{receiver.url}/slow")
    quick = await world.add_endpoint(f"{receiver.url}/quick", workflow_ids=["quick"])
    receiver.replies["/slow"] = [Reply(seconds=1.0)]
    options = {"webhook_endpoint_calls": 3, "webhook_calls": 8}
    async with work(**options), work(**options):
        for _ in range(30):
            await world.put_run("succeeded")
        await receiver.wait_for("/slow", 6)
        await world.put_run("succeeded", workflow_id="quick")
        await receiver.wait_for("/quick")
        states = Counter(row["state"] for row in await world.deliveries(slow))
        assert states["pending"] > 0, "the quick one was told before the slow one had all"
        await world.wait_until(quick, lambda rows: rows[0]["state"] == "delivered")
    assert receiver.most_in_flight["/slow"] == 3


async def test_a_failing_endpoint_is_called_one_at_a_time(
    world: World, receiver: Receiver, work: Work
) -> None:
    endpoint = await world.add_endpoint(f"{receiver.url}/hook")
    receiver.replies["/hook"] = [Reply(500)]
    async with work(webhook_retry_seconds="3600"):
        await world.put_run("succeeded")
        await world.wait_until(endpoint, lambda rows: any(row["last_status"] for row in rows))
        receiver.replies["/hook"] = [Reply(500, seconds=0.1)]
        for _ in range(8):
            await world.put_run("failed")
        await receiver.wait_for("/hook", 9)
    assert receiver.most_in_flight["/hook"] == 1


async def test_kill_9_under_load_loses_nothing(
    world: World, receiver: Receiver, make_settings: MakeSettings
) -> None:
    """Killed again and again between a call and its record: some come twice, under one id."""
    endpoint = await world.add_endpoint(f"{receiver.url}/hook")
    receiver.replies["/hook"] = [Reply(seconds=0.05)]
    settings = make_settings()
    runs = [await world.put_run("running") for _ in range(RUNS)]
    for kill in range(KILLS + 1):
        worker = await start_worker(settings)
        try:
            for run_id in runs[kill :: KILLS + 1]:
                await world.put_run("succeeded", run_id)
            if kill < KILLS:
                await receiver.wait_for("/hook", len(receiver.calls) + 4)
            else:
                rows = await world.wait_until(
                    endpoint, lambda rows: [row["state"] for row in rows] == ["delivered"] * RUNS
                )
        finally:
            worker.kill()
            await worker.wait()
    ids = Counter(call.message_id for call in receiver.calls)
    assert {row["run_id"] for row in rows} == set(runs)
    assert ids.keys() == {f"msg_{row['id'].hex}" for row in rows}
    assert len(receiver.calls) > RUNS, "no kill hit a call: the test proves nothing"


async def start_worker(settings: WebhookSettings) -> asyncio.subprocess.Process:
    """A worker that is a process of its own."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "webhook_worker"),
        env={
            **os.environ,
            "DATABASE_URL": settings.database_url.get_secret_value(),
            "MIRSAL_VAULT_KEYS": settings.vault_keys.get_secret_value(),
            "MIRSAL_OUTBOUND_NETWORKS": "127.0.0.0/8",
            # So its leases end soon.
            "MIRSAL_WEBHOOK_CALL_SECONDS": "0.3",
            "MIRSAL_WEBHOOK_RETRY_SECONDS": "0.1,0.1,0.1",
        },
    )
