"""The worker on a ledger in memory: redelivery, other holders, crashes, time, shares, endings."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from mirsal_contracts.nodes.noop import NoopConfig
from mirsal_contracts.statuses import NodeFailed, NodeSucceeded, NodeUnconfirmed
from mirsal_runtime import claims
from mirsal_runtime.attempt import Attempt
from mirsal_runtime.connector import Connector
from mirsal_runtime.failures import (
    AttemptFailure,
    OutcomeUnknown,
    PermanentError,
    RetryableError,
)
from mirsal_runtime.watermarks import Watermark
from mirsal_runtime.work import key_of
from mirsal_testing.commands import command_message, make_command, next_attempt
from mirsal_testing.memory_ledger import LedgerStore
from mirsal_testing.worker_rig import FakeKafka, WorkerRig
from pydantic import BaseModel


class Sent(BaseModel):
    """The result."""

    number: int


Step = Callable[[], Awaitable[None]]


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
        yield self

    async def send(self, params: NoopConfig, attempt: Attempt, provider: "Provider") -> Sent:
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
        return Connector("noop", NoopConfig, Sent, self.open, self.send, repeatable)


def raising(error: BaseException) -> Step:
    async def step() -> None:
        await asyncio.sleep(0)
        raise error

    return step


async def for_ever() -> None:
    await asyncio.Event().wait()


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
    ) -> WorkerRig:
        return WorkerRig(
            self.provider.connector(repeatable=repeatable),
            self.folder,
            store=self.store,
            kafka=self.kafka,
            instance=instance,
            slots=slots,
            dead_letter_limit=dead_letter_limit,
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


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


@pytest.mark.parametrize(
    ("when", "error", "expected"),
    [
        ("before", RetryableError("busy", "m"), "transient"),
        ("before", PermanentError("no", "m"), "permanent"),
        ("before", OutcomeUnknown("lost", "m"), "transient"),
        ("before", ValueError("personal words"), "transient"),
        ("during", RetryableError("busy", "m"), "transient"),
        ("during", PermanentError("no", "m"), "permanent"),
        ("during", OutcomeUnknown("lost", "m"), "unconfirmed"),
        ("during", ValueError("personal words"), "unconfirmed"),
        ("during", TimeoutError("personal words"), "unconfirmed"),
    ],
)
async def test_what_is_raised_means_something_else_before_and_after_the_claim(
    world: World, when: str, error: Exception, expected: str
) -> None:
    setattr(world.provider, when, raising(error))
    async with world.process() as process:
        status = await process.run(make_command())
        await process.until_done()
    assert not isinstance(status, NodeSucceeded)
    kind = status.kind if isinstance(status, NodeFailed) else "unconfirmed"
    assert kind == expected
    assert "personal" not in status.error.message
    if isinstance(error, AttemptFailure):
        assert status.error.code == error.code


async def test_repeatable_connector_is_never_unconfirmed(world: World) -> None:
    world.provider.during = raising(OutcomeUnknown("lost", "m"))
    async with world.process(repeatable=True) as process:
        status = await process.run(make_command())
    assert isinstance(status, NodeFailed)
    assert (status.kind, status.error.code) == ("transient", "lost")


@pytest.mark.parametrize(
    ("when", "expected"), [("before", NodeFailed), ("during", NodeUnconfirmed)]
)
async def test_time_runs_out(world: World, when: str, expected: type[object]) -> None:
    setattr(world.provider, when, for_ever)
    async with world.process() as process:
        status = await process.run(make_command(timeout_seconds=0.1))
    assert isinstance(status, expected)
    assert isinstance(status, NodeFailed | NodeUnconfirmed)
    assert status.error.code == "timeout"


async def test_params_that_do_not_fit_fail_the_node(world: World) -> None:
    command = make_command(config={"stranger": "ahmed@example.com"})
    async with world.process() as process:
        status = await process.run(command)
    assert isinstance(status, NodeFailed)
    assert (status.kind, status.error.code) == ("permanent", "invalid_params")
    assert "stranger" in status.error.message
    assert "ahmed" not in status.error.message
    assert world.provider.prepared == 0


async def test_expired_command_is_not_begun(world: World) -> None:
    async with world.process() as process:
        status = await process.run(make_command(deadline_seconds=-5))
        await process.until_done()
    assert isinstance(status, NodeFailed)
    assert status.kind == "expired"
    assert (world.provider.prepared, world.provider.effects) == (0, [])


async def test_command_that_expires_while_it_is_made_ready_is_not_begun(world: World) -> None:
    async def sleep() -> None:
        await asyncio.sleep(0.3)

    world.provider.before = sleep
    async with world.process() as process:
        status = await process.run(make_command(deadline_seconds=0.15))
    assert isinstance(status, NodeFailed)
    assert status.kind == "expired"
    assert world.provider.effects == []


@pytest.mark.parametrize("seconds", [3.0, 60.0], ids=["a little", "past its lease"])
async def test_holder_that_slept_before_its_call_does_not_begin(
    world: World, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """SIGSTOP between the claim's answer and the call: the clock has moved on when it wakes."""
    clock = Clock(seconds)
    monkeypatch.setattr(claims, "monotonic", clock)
    command = make_command()
    async with world.process() as process:
        world.store.on_claim = clock.jump
        process.deliver(command)
        await until(lambda: clock.jumps == 1 and world.provider.prepared == 2)
        world.store.on_claim = None
        assert isinstance(await process.status_of(command), NodeSucceeded)
    assert len(world.provider.effects) == 1


async def test_failure_before_the_claim_is_not_told_while_another_has_claimed(
    world: World,
) -> None:
    """Told, it would have the orchestrator make another attempt beside the one in its call."""
    command = make_command()
    world.store.hold(key_of(command))
    world.provider.before = raising(PermanentError("no", "m"))
    async with world.process() as process:
        process.deliver(command)
        await until(lambda: len(process.worker.aside) == 1)
        assert process.statuses == []


async def test_retry_follows_a_failure_and_the_first_stays_fenced(world: World) -> None:
    command = make_command()
    world.provider.before = raising(RetryableError("busy", "m"))
    async with world.process() as process:
        assert isinstance(await process.run(command), NodeFailed)
        world.provider.before = None
        process.deliver(command)
        again = await process.status_of(command, count=2)
        assert isinstance(again, NodeFailed)
        assert isinstance(await process.run(next_attempt(command)), NodeSucceeded)
        process.deliver(command)
        await process.until_done()
    assert len(world.provider.effects) == 1
    assert len(process.statuses) == 3


async def test_retry_after_a_success_tells_the_success(world: World) -> None:
    command = make_command()
    async with world.process() as process:
        await process.run(command)
        status = await process.run(next_attempt(command))
    assert isinstance(status, NodeSucceeded)
    assert status.attempt == 2
    assert len(world.provider.effects) == 1


async def test_retry_waits_for_an_earlier_attempt_that_is_open(world: World) -> None:
    command = make_command()
    gate = asyncio.Event()
    world.provider.during = wait_for(gate)
    async with world.process() as first, world.process("worker-2") as second:
        first.deliver(command)
        await world.provider.calling.wait()
        second.deliver(next_attempt(command))
        await until(lambda: len(second.worker.aside) == 1)
        world.provider.during = None
        gate.set()
        status = await second.status_of(next_attempt(command))
    assert isinstance(status, NodeSucceeded)
    assert len(world.provider.effects) == 1


async def test_connector_that_does_not_claim_is_found_out(world: World) -> None:
    async def forget(_params: NoopConfig, _attempt: Attempt, _resource: Provider) -> Sent:
        await asyncio.sleep(0)
        return Sent(number=0)

    connector = replace(world.provider.connector(), send=forget)
    async with WorkerRig(connector, world.folder) as process:
        status = await process.run(make_command())
    assert isinstance(status, NodeUnconfirmed)
    assert status.error.code == "not_claimed"


async def test_trace_and_ids_go_on_with_the_status(world: World) -> None:
    command = make_command()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with world.process() as process:
        process.deliver(command, traceparent=trace)
        await process.status_of(command)
    headers = process.headers_of(command)
    assert headers["traceparent"] == trace
    assert headers["execution_id"] == command.execution_id


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


class Clock:
    """The monotonic clock of a process that is paused once, when told so."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.offset = 0.0
        self.jumps = 0

    def jump(self) -> None:
        if not self.jumps:
            self.jumps += 1
            self.offset = self.seconds

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.offset


def wait_for(gate: asyncio.Event) -> Step:
    async def step() -> None:
        await gate.wait()

    return step


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)
