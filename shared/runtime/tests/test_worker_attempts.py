"""The worker on a ledger in memory: what errors, time and retries come to."""

import asyncio
from dataclasses import replace

import pytest
from mirsal_contracts.nodes.noop import NoopConfig
from mirsal_contracts.statuses import NodeFailed, NodeSucceeded, NodeUnconfirmed
from mirsal_runtime import claims
from mirsal_runtime.attempt import Attempt
from mirsal_runtime.failures import (
    AttemptFailure,
    OutcomeUnknown,
    PermanentError,
    RetryableError,
)
from mirsal_runtime.work import key_of
from mirsal_testing.commands import make_command, next_attempt
from mirsal_testing.worker_rig import WorkerRig
from mirsal_testing.worker_world import Provider, Sent, World, for_ever, raising, until, wait_for


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


async def test_holder_that_was_taken_over_before_its_call_says_that_nothing_was_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(60.0)
    monkeypatch.setattr(claims, "monotonic", clock)

    def sleep_and_be_taken_over() -> None:
        clock.jump()
        world.store.take_over_all()

    world.store.on_claim = sleep_and_be_taken_over
    command = make_command()
    async with world.process() as process:
        status = await process.run(command)
        assert isinstance(status, NodeFailed)
        assert (status.kind, status.error.code) == ("transient", "claim_lost")
        world.store.on_claim = None
        assert isinstance(await process.run(next_attempt(command)), NodeSucceeded)
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
