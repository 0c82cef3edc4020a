"""The worker on a ledger in memory: poison, shares, order, revoked partitions, the end."""

import asyncio
from dataclasses import replace

import pytest
from mirsal_contracts.statuses import NodeFailed, NodeSucceeded, NodeUnconfirmed
from mirsal_runtime.watermarks import Watermark
from mirsal_testing.commands import command_message, make_command, next_attempt
from mirsal_testing.worker_rig import WorkerRig
from mirsal_testing.worker_world import World, for_ever, until, wait_for


async def test_unreadable_record_goes_to_the_dead_letters_and_ends_its_execution(
    world: World,
) -> None:
    poisoned, healthy = make_command(), make_command()
    message = command_message(poisoned)._replace(value=b'{"attempt": "x"}')
    async with world.process() as process:
        process.deliver_messages(message, command_message(healthy))
        assert isinstance(await process.status_of(healthy), NodeSucceeded)
        status = await process.status_of(poisoned)
        await process.until_done()
    assert isinstance(status, NodeFailed)
    assert status.error.code == "unreadable_command"
    dead = world.kafka.of("dead-letters.noop.v1")
    assert [letter.value for letter in dead] == [b'{"attempt": "x"}']
    assert process.watermark.committable == 2


async def test_flood_of_unreadable_records_stops_the_reading(world: World) -> None:
    poison = command_message(make_command())._replace(value=b"{")
    async with world.process(dead_letter_limit=3) as process:
        healthy = command_message(make_command())
        assert process.deliver_messages(poison, poison, healthy, poison, poison) is None
        reason = process.deliver_messages(poison, poison, healthy)
        assert reason is not None
        assert "3 records in a row" in reason
        await process.until_done()
    assert process.watermark.committable == 6
    assert len(world.kafka.of("dead-letters.noop.v1")) == 5


async def test_too_many_of_one_account_go_back_while_others_wait(world: World) -> None:
    gate = asyncio.Event()
    world.provider.during = wait_for(gate)
    async with world.process(slots=5) as process:
        noisy = [make_command(workspace="noisy") for _ in range(30)]
        quiet = make_command(workspace="quiet")
        process.deliver(quiet, *noisy)
        thrown = await process.status_of(noisy[-1])
        assert isinstance(thrown, NodeFailed)
        assert (thrown.kind, thrown.error.code) == ("throttled", "account_share")
        assert thrown.retry_after_seconds is not None
        gate.set()
        await process.until_done()
        later = await process.run(next_attempt(noisy[-1]))
    assert isinstance(later, NodeSucceeded)
    assert quiet.run_id in world.provider.effects


async def test_who_was_about_is_served_while_another_floods(world: World) -> None:
    gate = asyncio.Event()
    async with world.process(slots=5) as process:
        await process.run(make_command(workspace="quiet"))
        world.provider.during = wait_for(gate)
        process.deliver(*(make_command(workspace="noisy") for _ in range(8)))
        await until(lambda: len(world.provider.effects) == 5)
        await asyncio.sleep(0.05)
        assert len(world.provider.effects) == 5, "one slot of five is nobody else's"
        quiet = make_command(workspace="quiet")
        process.deliver(quiet)
        await until(lambda: quiet.run_id in world.provider.effects)
        gate.set()
        await process.until_done()


async def test_commands_of_one_key_are_served_in_order_where_asked(world: World) -> None:
    """Run ids are the keys: three nodes of one run, and another run beside them."""
    gate = asyncio.Event()
    world.provider.during = wait_for(gate)
    first = make_command()
    line = [first, *(make_command(run_id=first.run_id, node_id=f"n{n}") for n in range(2))]
    other = make_command()
    connector = replace(world.provider.connector(), ordered=True)
    async with WorkerRig(connector, world.folder, kafka=world.kafka) as process:
        process.deliver(*line, other)
        await until(lambda: len(world.provider.effects) == 2)
        await asyncio.sleep(0.05)
        assert sorted(world.provider.effects) == sorted([first.run_id, other.run_id])
        gate.set()
        await process.until_done()
    served = [status.node_id for status in process.statuses if status.run_id == first.run_id]
    assert served == ["send", "n0", "n1"]


async def test_order_survives_a_partition_that_goes_and_comes_back(world: World) -> None:
    gate = asyncio.Event()
    world.provider.during = wait_for(gate)
    first = make_command()
    second = make_command(run_id=first.run_id, node_id="second")
    connector = replace(world.provider.connector(), ordered=True)
    async with WorkerRig(connector, world.folder, kafka=world.kafka) as process:
        process.deliver(first, second)
        await world.provider.calling.wait()
        letting_go = asyncio.create_task(process.worker.let_go([process.watermark]))
        await asyncio.sleep(0.01)
        process.watermark = Watermark()
        process.deliver(first, second)
        await asyncio.sleep(0.05)
        assert len(world.provider.effects) == 1
        gate.set()
        await letting_go
        await process.until_done()
    assert [status.node_id for status in process.statuses] == ["send", "send", "second"]


async def test_revoked_partition_drops_what_has_not_begun(world: World) -> None:
    gate = asyncio.Event()
    world.provider.during = wait_for(gate)
    begun, waiting = make_command(), make_command()
    async with world.process(slots=1) as process:
        process.deliver(begun, waiting)
        await world.provider.calling.wait()
        letting_go = asyncio.create_task(process.worker.let_go([process.watermark]))
        await asyncio.sleep(0.05)
        assert not letting_go.done()
        gate.set()
        await letting_go
        assert process.watermark.committable == 1
        await asyncio.sleep(0.05)
        assert world.provider.effects == [begun.run_id]


async def test_revoked_partition_is_not_waited_for_longer_than_a_little(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirsal_runtime.worker.LET_GO_SECONDS", 0.1)
    world.provider.during = for_ever
    async with world.process() as process:
        process.deliver(make_command())
        await world.provider.calling.wait()
        async with asyncio.timeout(5):
            await process.worker.let_go([process.watermark])
        assert process.watermark.committable is None


@pytest.mark.parametrize("repeatable", [False, True])
async def test_revoked_command_that_has_not_claimed_does_not_begin(
    world: World, repeatable: bool
) -> None:
    gate = asyncio.Event()
    world.provider.before = wait_for(gate)
    command = make_command()
    async with world.process(repeatable=repeatable) as process:
        process.deliver(command)
        await until(lambda: world.provider.prepared == 1)
        letting_go = asyncio.create_task(process.worker.let_go([process.watermark]))
        await asyncio.sleep(0.01)
        gate.set()
        await letting_go
        assert (process.statuses, world.provider.effects) == ([], [])
        process.watermark = Watermark()
        assert isinstance(await process.run(command), NodeSucceeded)


async def test_claim_of_a_revoked_command_that_was_not_begun_is_free_again(world: World) -> None:
    """The claim's answer was lost, and the partition goes to another process meanwhile."""
    command = make_command()
    async with world.process() as first, world.process("worker-2") as second:
        world.store.lose_answers = 1
        first.deliver(command)
        await until(lambda: bool(world.store.rows))
        await first.worker.let_go([first.watermark])
        status = await second.run(command)
    assert isinstance(status, NodeSucceeded)
    assert len(world.provider.effects) == 1


async def test_drain_lets_what_is_in_flight_end_and_begins_nothing(world: World) -> None:
    gate = asyncio.Event()
    world.provider.during = wait_for(gate)
    begun, waiting = make_command(), make_command()
    async with world.process(slots=1) as process:
        process.deliver(begun, waiting)
        await world.provider.calling.wait()
        stopping = asyncio.create_task(process.stop())
        await asyncio.sleep(0.05)
        assert not stopping.done()
        gate.set()
        await stopping
    assert [status.run_id for status in process.statuses] == [begun.run_id]
    assert process.watermark.committable == 1


async def test_call_that_outlasts_the_drain_is_unconfirmed(world: World) -> None:
    world.provider.during = for_ever
    command = make_command()
    async with world.process() as process:
        process.deliver(command)
        await world.provider.calling.wait()
        await process.stop(seconds=0.1)
    (status,) = process.statuses
    assert isinstance(status, NodeUnconfirmed)
    assert process.watermark.committable == 1


async def test_what_was_not_claimed_when_the_drain_ends_stays_for_others(world: World) -> None:
    world.provider.before = for_ever
    command = make_command()
    async with world.process() as process:
        process.deliver(command)
        await until(lambda: world.provider.prepared == 1)
        await process.stop(seconds=0.1)
    assert (process.statuses, process.watermark.committable) == ([], None)
    assert world.store.rows == {}


async def test_drain_ends_although_the_ledger_is_away(world: World) -> None:
    async with world.process() as process:
        world.store.away = True
        process.deliver(*(make_command() for _ in range(5)))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(5):
            await process.stop(seconds=0.1)
