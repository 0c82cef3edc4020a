"""What is told of a command names a span that is there: its attempt's, or that of who asked."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from mirsal_contracts.commands import RunNode
from mirsal_contracts.message import Envelope
from mirsal_contracts.topics import NODE_STATUSES_V1
from mirsal_runtime import claims, telemetry
from mirsal_runtime.trace_context import attempt_context
from mirsal_runtime.tracing import open_tracer
from mirsal_testing.commands import make_command, next_attempt
from mirsal_testing.otlp import OtlpReceiver, Seen
from mirsal_testing.worker_world import World
from pydantic import SecretStr

from shared.runtime.tests.test_worker_attempts import Clock

ASKING = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ATTEMPT = "process node.commands.noop.v1"


@pytest.fixture
def otlp(tmp_path: Path) -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        telemetry._tracers.append(
            open_tracer(
                receiver.url,
                service="noop",
                instance="noop-1",
                folder=tmp_path / "spans",
                headers=SecretStr(""),
            )
        )
        yield receiver
    for tracer in telemetry._tracers:
        tracer.close()
    telemetry._tracers.clear()


def parents_of_statuses(world: World) -> list[str]:
    """The contexts that the statuses came with."""
    return [
        Envelope.from_headers(message.headers).traceparent
        for message in world.kafka.of(NODE_STATUSES_V1.name)
    ]


async def attempts(otlp: OtlpReceiver) -> list[Seen]:
    """The attempts that were told of."""
    await telemetry.flush()
    return [span for span in otlp.spans if span.name == ATTEMPT]


def span_of(command: RunNode) -> str:
    return attempt_context(ASKING, command.command_id)[36:52]


async def test_what_expired_before_it_began_was_no_attempt(
    world: World, otlp: OtlpReceiver
) -> None:
    async def sleep() -> None:
        await asyncio.sleep(0.3)

    async with world.process() as process:
        early, late = make_command(deadline_seconds=-5), make_command(deadline_seconds=0.15)
        process.deliver(early, traceparent=ASKING)
        await process.status_of(early)
        world.provider.before = sleep
        process.deliver(late, traceparent=ASKING)
        await process.status_of(late)
    assert parents_of_statuses(world) == [ASKING, ASKING]
    assert await attempts(otlp) == []


async def test_a_claim_that_was_taken_over_is_told_of_as_an_attempt(
    world: World, otlp: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(60.0)
    monkeypatch.setattr(claims, "monotonic", clock)

    def sleep_and_be_taken_over() -> None:
        clock.jump()
        world.store.take_over_all()

    world.store.on_claim = sleep_and_be_taken_over
    command = make_command()
    async with world.process() as process:
        process.deliver(command, traceparent=ASKING)
        await process.status_of(command)
    (context,) = parents_of_statuses(world)
    (attempt,) = await attempts(otlp)
    assert context[36:52] == attempt.span_id == span_of(command)
    assert (attempt.attributes["mirsal.outcome"], attempt.error) == ("transient", "claim_lost")


async def test_an_attempt_whose_effect_had_happened_before_is_told_of(
    world: World, otlp: OtlpReceiver
) -> None:
    command = make_command()
    async with world.process() as process:
        for each in (command, next_attempt(command)):
            process.deliver(each, traceparent=ASKING)
            await process.status_of(each)
    assert world.provider.effects == [command.run_id]
    first, second = await attempts(otlp)
    assert [each[36:52] for each in parents_of_statuses(world)] == [first.span_id, second.span_id]
    assert second.span_id == span_of(next_attempt(command))
    assert second.attributes["mirsal.outcome"] == "remembered"
