"""A run ends, and its endpoint is told: signed, once, tried again, dead, sent again."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import asyncpg
from mirsal_runtime.vault.keys import write_new_key
from mirsal_testing.webhook_receiver import Receiver, Reply
from mirsal_testing.webhook_world import World
from standardwebhooks import Webhook

Work: TypeAlias = Callable[..., AbstractAsyncContextManager[None]]
OUTSIDE = {"outbound_networks": ""}


def are(state: str, count: int = 1) -> Callable[[list[asyncpg.Record]], bool]:
    """Whether there are so many deliveries, all in this state."""
    return lambda rows: [row["state"] for row in rows] == [state] * count


async def test_an_endpoint_is_told_what_became_of_a_run(
    world: World, receiver: Receiver, work: Work
) -> None:
    endpoint = await world.add_endpoint(f"{receiver.url}/hook", rotated=True)
    async with work():
        run_id = await world.put_run("succeeded")
        (call,) = await receiver.wait_for("/hook")
        (row,) = await world.wait_until(endpoint, are("delivered"))
    for secret in world.secrets[endpoint]:
        event = Webhook(secret).verify(call.body, dict(call.headers))
        assert event["type"] == "run.succeeded"
        assert datetime.fromisoformat(event["timestamp"]) == row["occurred_at"]
        assert event["data"]["runId"] == str(run_id)
        assert event["data"]["leadId"] == "ahmed"
        assert "workspace" not in event["data"]
    assert call.headers["content-type"] == "application/json"
    assert call.message_id == f"msg_{row['id'].hex}"
    assert (row["attempts"], row["last_status"], row["leased_until"]) == (1, 204, None)


async def test_it_is_told_what_it_listens_to_and_nothing_else(
    world: World, receiver: Receiver, work: Work
) -> None:
    stranger = World(world.sql)
    failed = await world.add_endpoint(f"{receiver.url}/failed", types=("run.failed",))
    orders = await world.add_endpoint(f"{receiver.url}/orders", workflow_ids=["orders"])
    theirs = await stranger.add_endpoint(f"{receiver.url}/theirs")
    before = await world.put_run("failed", age=timedelta(hours=1))
    async with work():
        for status in ("running", "waiting", "succeeded", "cancelled"):
            await world.put_run(status)
        failure = await world.put_run("failed")
        order = await world.put_run("succeeded", workflow_id="orders")
        other = await stranger.put_run("paused")
        for path in ("/failed", "/orders", "/theirs"):
            await receiver.wait_for(path)
        for endpoint in (failed, orders, theirs):
            await world.wait_until(endpoint, are("delivered"))
    told = {
        path: [Webhook(world_secret).verify(call.body, dict(call.headers))["data"]["runId"]]
        for path, endpoint in (("/failed", failed), ("/orders", orders))
        for world_secret in world.secrets[endpoint]
        for call in receiver.calls_of(path)
    }
    assert told == {"/failed": [str(failure)], "/orders": [str(order)]}
    assert str(other).encode() in receiver.calls_of("/theirs")[0].body
    assert len(receiver.calls) == 3, before


async def test_each_end_and_each_rest_is_told_once(
    world: World, receiver: Receiver, work: Work
) -> None:
    endpoint = await world.add_endpoint(f"{receiver.url}/hook")
    run_id = None
    async with work():
        # It rests twice with work in between, fails, is tried again, and fails again.
        steps = ("paused", "paused", "running", "paused", "failed", "failed", "running", "failed")
        told = (1, 1, 1, 2, 3, 3, 3, 4)
        for status, count in zip(steps, told, strict=True):
            run_id = await world.put_run(status, run_id)
            looked = await world.sql.fetchval("SELECT now()")
            await receiver.wait_for("/hook", count)
            await _wait_for_look(world, looked)
        await world.wait_until(endpoint, are("delivered", 4))
    types = [row["event_type"] for row in await world.deliveries(endpoint)]
    assert types == ["run.paused", "run.paused", "run.failed", "run.failed"]
    assert len({call.message_id for call in receiver.calls}) == 4


async def _wait_for_look(world: World, moment: datetime) -> None:
    """Returns once a look has been that covers this moment."""
    query = "SELECT seen_at FROM webhook_worker.looks"
    while await world.sql.fetchval(query) < moment:
        await asyncio.sleep(0.05)


async def test_a_failure_is_tried_again_under_the_same_id_until_it_is_dead(
    world: World, receiver: Receiver, work: Work
) -> None:
    endpoint = await world.add_endpoint(f"{receiver.url}/hook")
    receiver.replies["/hook"] = [Reply(500), Reply(302, {"location": "/elsewhere"}), Reply(503)]
    async with work():
        await world.put_run("succeeded")
        (row,) = await world.wait_until(endpoint, are("dead"))
        calls = receiver.calls_of("/hook")
        assert len(calls) == row["attempts"] == 3
        assert len({call.message_id for call in calls}) == 1
        assert len({call.body for call in calls}) == 1
        assert (row["last_status"], row["last_error"]) == (503, "answered 503")
        assert receiver.calls_of("/elsewhere") == []
        # A person has it sent again: the schedule begins anew.
        receiver.replies["/hook"] = [Reply(500), Reply(200)]
        await world.wish(endpoint, "redeliver", delivery_id=row["id"])
        (row,) = await world.wait_until(endpoint, are("delivered"))
        assert row["attempts"] == 5
        assert len({call.message_id for call in receiver.calls_of("/hook")}) == 1


async def test_all_dead_since_a_time_are_sent_again(
    world: World, receiver: Receiver, work: Work
) -> None:
    endpoint = await world.add_endpoint(f"{receiver.url}/hook")
    receiver.replies["/hook"] = [Reply(500)]
    async with work(webhook_retry_seconds="0.05"):
        for _ in range(3):
            await world.put_run("failed")
        rows = await world.wait_until(endpoint, are("dead", 3))
        await world.sql.execute(
            "UPDATE webhook_worker.deliveries SET ended_at = now() - interval '1 day' "
            "WHERE id = $1",
            rows[0]["id"],
        )
        receiver.replies["/hook"] = [Reply(204)]
        since = datetime.now(UTC) - timedelta(hours=1)
        wish = await world.wish(endpoint, "redeliver_dead", since=since)
        rows = await world.wait_until(
            endpoint, lambda rows: sum(row["state"] == "delivered" for row in rows) == 2
        )
        assert rows[0]["state"] == "dead"
        granted = "SELECT count(*) FROM webhook_worker.wishes_granted WHERE id = $1"
        assert await world.sql.fetchval(granted, wish) == 1


async def test_retry_after_is_respected(world: World, receiver: Receiver, work: Work) -> None:
    endpoint = await world.add_endpoint(f"{receiver.url}/hook")
    receiver.replies["/hook"] = [Reply(429, {"retry-after": "3600"})]
    async with work():
        await world.put_run("succeeded")
        (row,) = await world.wait_until(endpoint, lambda rows: any(r["last_status"] for r in rows))
        waits = row["next_at"] - row["last_attempt_at"]
        assert timedelta(minutes=59) < waits < timedelta(minutes=61)
        assert (row["state"], len(receiver.calls)) == ("pending", 1)


async def test_a_test_is_sent_as_what_it_is(world: World, receiver: Receiver, work: Work) -> None:
    endpoint = await world.add_endpoint(f"{receiver.url}/hook", types=("run.failed",))
    async with work():
        wish = await world.wish(endpoint, "test")
        (call,) = await receiver.wait_for("/hook")
        await world.wait_until(endpoint, are("delivered"))
    event = Webhook(world.secrets[endpoint][0]).verify(call.body, dict(call.headers))
    assert (event["type"], call.message_id) == ("webhook.test", f"msg_{wish.hex}")


async def test_what_is_not_public_is_not_called(
    world: World, receiver: Receiver, work: Work
) -> None:
    endpoint = await world.add_endpoint(f"{receiver.url}/hook")
    async with work(**OUTSIDE, webhook_retry_seconds="0.05"):
        await world.put_run("succeeded")
        (row,) = await world.wait_until(endpoint, are("dead"))
    assert (row["last_error"], receiver.calls) == ("the address is not a public one", [])


async def test_a_secret_that_cannot_be_read_is_not_the_endpoints_fault(
    world: World, receiver: Receiver, work: Work
) -> None:
    endpoint = await world.add_endpoint(f"{receiver.url}/hook")
    async with work(vault_keys=write_new_key("other"), webhook_retry_seconds="0.05"):
        await world.put_run("succeeded")
        (row,) = await world.wait_until(endpoint, are("dead"))
    assert (row["last_error"], receiver.calls) == ("its secret cannot be read here", [])
    since = "SELECT failing_since FROM webhook_worker.endpoint_states WHERE endpoint_id = $1"
    assert await world.sql.fetchval(since, endpoint) is None


async def test_an_endpoint_that_fails_for_days_is_disabled_until_its_owner_enables_it(
    world: World, receiver: Receiver, work: Work
) -> None:
    endpoint = await world.add_endpoint(f"{receiver.url}/hook")
    receiver.replies["/hook"] = [Reply(500)]
    state = "SELECT * FROM webhook_worker.endpoint_states WHERE endpoint_id = $1"
    async with work(webhook_retry_seconds="0.05,3600"):
        await world.put_run("failed")
        await receiver.wait_for("/hook", 2)
        # An attempt counts from its lease; until that is given back its failure is not written.
        await world.wait_until(
            endpoint, lambda rows: (rows[0]["attempts"], rows[0]["leased_until"]) == (2, None)
        )
        assert (await world.sql.fetchrow(state, endpoint))["disabled_at"] is None  # type: ignore[index] # there is one
        await world.sql.execute(
            "UPDATE webhook_worker.endpoint_states SET failing_since = now() - interval '6 days'"
        )
        await world.put_run("failed")
        rows = await world.wait_until(endpoint, are("dead", 2))
        assert "the endpoint is disabled" in {row["last_error"] for row in rows}
        found = await world.sql.fetchrow(state, endpoint)
        assert found is not None
        assert (found["disabled_at"] is not None, found["reason"]) == (True, "answered 500")
        # Nobody is told what happens now; what the owner enables is told what comes.
        await world.put_run("failed")
        receiver.replies["/hook"] = [Reply(204)]
        await world.sql.execute("UPDATE gateway.webhook_endpoints SET active_since = now()")
        run_id = await world.put_run("succeeded")
        rows = await world.wait_until(endpoint, lambda rows: rows[-1]["state"] == "delivered")
        assert (len(rows), rows[-1]["run_id"]) == (3, run_id)
        found = await world.sql.fetchrow(state, endpoint)
        assert found is not None
        assert (found["disabled_at"], found["failing_since"]) == (None, None)


async def test_an_endpoint_that_is_gone_is_disabled_at_once(
    world: World, receiver: Receiver, work: Work
) -> None:
    endpoint = await world.add_endpoint(f"{receiver.url}/hook")
    receiver.replies["/hook"] = [Reply(410)]
    async with work():
        await world.put_run("failed")
        (row,) = await world.wait_until(endpoint, are("dead"))
    assert row["last_status"] == 410
    assert len(receiver.calls) == 1


async def test_what_would_go_to_a_removed_endpoint_is_dead(
    world: World, receiver: Receiver, work: Work
) -> None:
    endpoint = await world.add_endpoint(f"{receiver.url}/hook")
    receiver.replies["/hook"] = [Reply(500)]
    async with work(webhook_retry_seconds="3600"):
        await world.put_run("failed")
        await world.wait_until(endpoint, lambda rows: any(row["last_status"] for row in rows))
        await world.sql.execute("DELETE FROM gateway.webhook_endpoints WHERE id = $1", endpoint)
        (row,) = await world.wait_until(endpoint, are("dead"))
    assert row["last_error"] == "the endpoint was removed"


async def test_an_outcome_is_written_once_postgres_takes_it_and_nobody_is_told_twice(
    world: World, receiver: Receiver, work: Work
) -> None:
    endpoint = await world.add_endpoint(f"{receiver.url}/hook")
    receiver.replies["/hook"] = [Reply(204, seconds=0.5)]
    async with work():
        await world.put_run("succeeded")
        await receiver.wait_for("/hook")
        await world.sql.execute("ALTER TABLE webhook_worker.deliveries RENAME TO away")
        try:
            await asyncio.sleep(1.5)
        finally:
            await world.sql.execute("ALTER TABLE webhook_worker.away RENAME TO deliveries")
        (row,) = await world.wait_until(endpoint, are("delivered"))
    assert (row["attempts"], len(receiver.calls)) == (1, 1)
