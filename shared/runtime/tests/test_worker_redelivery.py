"""The worker on a ledger in memory: repeated commands, other holders, crashes, outages."""

import asyncio

import pytest
from mirsal_contracts.statuses import NodeSucceeded, NodeUnconfirmed
from mirsal_runtime.work import key_of
from mirsal_testing.commands import make_command
from mirsal_testing.worker_world import World, for_ever, until, wait_for


@pytest.mark.parametrize("repeatable", [False, True])
async def test_command_becomes_an_effect_and_a_status(world: World, repeatable: bool) -> None:
    command = make_command()
    async with world.process(repeatable=repeatable) as process:
        status = await process.run(command)
        await process.until_done()
    assert isinstance(status, NodeSucceeded)
    assert status.output == {"number": 1}
    assert world.provider.effects == [command.run_id]
    assert process.watermark.committable == 1


async def test_redelivered_command_has_no_second_effect_but_a_second_status(world: World) -> None:
    command = make_command()
    async with world.process() as process:
        first = await process.run(command)
        await process.run(command)
        second = await process.status_of(command, count=2)
        await process.until_done()
    assert second == first
    assert world.provider.effects == [command.run_id]


@pytest.mark.parametrize("repeatable", [False, True])
async def test_command_delivered_twice_at_once_has_one_effect(
    world: World, repeatable: bool
) -> None:
    command = make_command()
    async with world.process(repeatable=repeatable) as process:
        process.deliver(command, command, command)
        await process.status_of(command, count=3)
        await process.until_done()
    assert len(world.provider.effects) == 1


async def test_two_processes_with_the_same_command_have_one_effect(world: World) -> None:
    gate = asyncio.Event()
    world.provider.during = wait_for(gate)
    command = make_command()
    async with world.process() as first, world.process("worker-2") as second:
        first.deliver(command)
        await world.provider.calling.wait()
        second.deliver(command)
        await until(lambda: len(second.worker.aside) == 1)
        gate.set()
        await second.status_of(command, count=2)
        await second.until_done()
    assert len(world.provider.effects) == 1
    assert [type(status) for status in first.statuses] == [NodeSucceeded, NodeSucceeded]


async def test_set_aside_command_holds_no_slot(world: World) -> None:
    command, other = make_command(), make_command()
    world.store.hold(key_of(command))
    async with world.process(slots=1) as process:
        process.deliver(command, other)
        assert isinstance(await process.status_of(other), NodeSucceeded)
        assert len(process.worker.aside) == 1
        assert process.watermark.committable is None


async def test_holder_that_is_gone_leaves_an_unconfirmed_outcome(world: World) -> None:
    command = make_command(timeout_seconds=0.5)
    async with world.process() as first:
        world.provider.during = for_ever
        first.deliver(command)
        await world.provider.calling.wait()
        await first.kill()
    async with world.process("worker-2") as second:
        second.miss(first)
        world.store.end_leases()
        status = await second.run(command)
        await second.until_done()
    assert isinstance(status, NodeUnconfirmed)
    assert status.error.code == "worker_gone"
    assert len(world.provider.effects) == 1


async def test_living_holder_is_not_taken_over_however_long_its_call(world: World) -> None:
    command = make_command()
    world.provider.during = for_ever
    async with world.process() as first, world.process("worker-2") as second:
        first.deliver(command)
        await world.provider.calling.wait()
        world.store.end_leases()
        second.deliver(command)
        await asyncio.sleep(1.2)
        assert first.statuses == []
        assert len(second.worker.aside) == 1


async def test_restarted_process_settles_what_was_in_its_call(world: World) -> None:
    command = make_command()
    world.provider.during = for_ever
    async with world.process() as first:
        first.deliver(command)
        await world.provider.calling.wait()
        await first.kill()
    async with world.process() as second:
        status = await second.run(command)
    assert isinstance(status, NodeUnconfirmed)
    assert len(world.provider.effects) == 1


async def test_restarted_process_goes_on_with_what_it_had_not_begun(world: World) -> None:
    """Killed after PostgreSQL had the claim, before its answer came."""
    command = make_command()
    world.store.lose_answers = 1_000_000
    async with world.process() as first:
        first.deliver(command)
        await until(lambda: bool(world.store.rows))
        await first.kill()
    world.store.lose_answers = 0
    async with world.process() as second:
        status = await second.run(command)
    assert isinstance(status, NodeSucceeded)
    assert len(world.provider.effects) == 1


async def test_restarted_process_knows_the_answer_that_was_not_settled(world: World) -> None:
    command = make_command()
    async with world.process() as first:
        world.kafka.away = True

        async def lose_the_ledger() -> None:
            await asyncio.sleep(0)
            world.store.away = True

        world.provider.during = lose_the_ledger
        first.deliver(command)
        await world.provider.calling.wait()
        await asyncio.sleep(0.1)
        await first.kill()
    world.store.away = world.kafka.away = False
    async with world.process() as second:
        first_status = await second.status_of(command)
        again = await second.run(command)
    assert isinstance(first_status, NodeSucceeded)
    assert again == first_status
    assert len(world.provider.effects) == 1


async def test_late_answer_is_evidence_for_what_another_took_over(world: World) -> None:
    command = make_command()
    gate = asyncio.Event()
    world.provider.during = wait_for(gate)
    async with world.process() as first, world.process("worker-2") as second:
        first.deliver(command)
        await world.provider.calling.wait()
        await first.fall_silent()
        second.miss(first)
        world.store.end_leases()
        assert isinstance(await second.run(command), NodeUnconfirmed)
        gate.set()
        assert isinstance(await second.status_of(command, count=2), NodeSucceeded)
        assert isinstance(await second.run(command), NodeUnconfirmed)
        third = await second.status_of(command, count=3)
    assert isinstance(third, NodeSucceeded)


async def test_lost_answer_to_a_claim_is_asked_for_again(world: World) -> None:
    command = make_command()
    world.store.lose_answers = 1
    async with world.process() as process:
        assert isinstance(await process.run(command), NodeSucceeded)
    assert (world.provider.prepared, len(world.provider.effects)) == (2, 1)


async def test_nothing_is_lost_while_the_ledger_is_away(world: World) -> None:
    commands = [make_command() for _ in range(20)]
    async with world.process(slots=5) as process:
        world.store.away = True
        process.deliver(*commands)
        await asyncio.sleep(0.3)
        assert (process.statuses, world.provider.effects) == ([], [])
        world.store.away = False
        await process.until_done()
    assert len(process.statuses) == len(set(world.provider.effects)) == 20


async def test_nothing_is_lost_while_kafka_is_away(world: World) -> None:
    commands = [make_command() for _ in range(20)]
    async with world.process(slots=5) as process:
        world.kafka.away = True
        process.deliver(*commands)
        await until(lambda: len(world.provider.effects) == 5)
        await asyncio.sleep(0.2)
        assert process.watermark.committable is None
        world.kafka.away = False
        await process.until_done()
    assert len({status.run_id for status in process.statuses}) == 20
    assert len(world.provider.effects) == 20


async def test_ledger_that_is_away_when_the_outcome_is_known_is_waited_for(world: World) -> None:
    command = make_command()

    async def lose_the_ledger() -> None:
        await asyncio.sleep(0)
        world.store.away = True

    world.provider.during = lose_the_ledger
    async with world.process() as process:
        process.deliver(command)
        await process.status_of(command)
        await asyncio.sleep(0.1)
        assert process.watermark.committable is None
        world.store.away = False
        await process.until_done()
    assert len(world.provider.effects) == 1
