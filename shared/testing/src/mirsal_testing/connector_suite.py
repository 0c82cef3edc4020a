"""The tests that every connector inherits, run on the real kernel and a provider of the test's.

    class TestWhatsApp(ConnectorSuite):
        @pytest.fixture
        async def case(self) -> AsyncIterator[ConnectorCase]: ...

A provider is anything that counts its effects and can be told to fail: a simulator, a fake.
"""

# ruff: noqa: S101 - these are tests, which others inherit

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import pytest
import structlog
from mirsal_contracts.commands import RunNode
from mirsal_contracts.message import JsonObject
from mirsal_contracts.statuses import NodeFailed, NodeSucceeded, NodeUnconfirmed
from mirsal_runtime.connector import Connector
from mirsal_runtime.telemetry import new_traceparent, trace_id_of

from mirsal_testing.commands import make_command
from mirsal_testing.worker_rig import Status, WorkerRig

FaultKind: TypeAlias = Literal[
    "transient", "throttled", "action_required", "permanent", "unconfirmed"
]
Switch: TypeAlias = Callable[[], Awaitable[None]]

SHORT_SECONDS = 1.0
WAIT_SECONDS = 10.0


@dataclass
class ConnectorCase:
    """What the suite must know of a connector and its provider.

    `config` succeeds, `bad_config` fits no attempt. `hang` has the provider take requests and
    never answer; `vanish` has it listen no longer. `faults` are the ways in which it can be
    told to fail, by what the status must say then. `secrets` are texts that no log line and no
    status may hold: tokens, and the recipient's address. `read_traces`, if given, are the
    `traceparent`s that the provider saw.
    """

    connector: Connector[Any, Any, Any]
    config: JsonObject
    bad_config: JsonObject
    count_effects: Callable[[], Awaitable[int]]
    hang: Switch
    vanish: Switch
    faults: Mapping[FaultKind, Switch]
    secrets: Sequence[str]
    read_traces: Callable[[], Awaitable[Sequence[str]]] | None = None
    timeout_seconds: float = 15.0
    effect_when_hanging: bool = True
    """Whether a provider that hangs has had the effect by then."""


class ConnectorSuite:
    """Inherit it, and give it a fixture `case`."""

    @pytest.fixture
    async def rig(self, case: ConnectorCase, tmp_path: Path) -> AsyncIterator[WorkerRig]:
        """One process of the connector."""
        async with WorkerRig(case.connector, tmp_path) as rig:
            yield rig

    def command(self, case: ConnectorCase, **others: Any) -> RunNode:
        """A command that succeeds, but for what `others` says."""
        arguments = {"config": case.config, "timeout_seconds": case.timeout_seconds, **others}
        return make_command(case.connector.name, **arguments)

    async def test_valid_command_has_one_effect(self, case: ConnectorCase, rig: WorkerRig) -> None:
        status = await rig.run(self.command(case))
        assert isinstance(status, NodeSucceeded), status
        assert await case.count_effects() == 1

    async def test_commands_at_once_have_an_effect_each(
        self, case: ConnectorCase, rig: WorkerRig
    ) -> None:
        commands = [self.command(case) for _ in range(10)]
        rig.deliver(*commands)
        statuses = [await rig.status_of(command) for command in commands]
        assert {type(status) for status in statuses} == {NodeSucceeded}
        assert await case.count_effects() == 10

    async def test_bad_params_fail_the_node_without_effect(
        self, case: ConnectorCase, rig: WorkerRig
    ) -> None:
        status = await rig.run(self.command(case, config=case.bad_config))
        assert isinstance(status, NodeFailed), status
        assert status.kind == "permanent"
        assert await case.count_effects() == 0

    async def test_duplicate_command_has_one_effect_and_one_outcome(
        self, case: ConnectorCase, rig: WorkerRig
    ) -> None:
        command = self.command(case)
        rig.deliver(command, command)
        first = await rig.status_of(command)
        assert await rig.status_of(command, count=2) == first
        rig.deliver(command)
        assert await rig.status_of(command, count=3) == first
        assert isinstance(first, NodeSucceeded)
        if not case.connector.repeatable:
            assert await case.count_effects() == 1

    @pytest.mark.parametrize("kind", get_args(FaultKind))
    async def test_fault_says_its_remedy(
        self, case: ConnectorCase, rig: WorkerRig, kind: FaultKind
    ) -> None:
        if kind not in case.faults:
            assert kind not in ("transient", "permanent"), "every connector can fail like this"
            return
        await case.faults[kind]()
        status = await rig.run(self.command(case))
        assert kind_of(status) == kind, status
        if isinstance(status, NodeFailed) and kind == "throttled":
            assert status.retry_after_seconds is not None

    async def test_provider_that_is_gone_is_tried_again(
        self, case: ConnectorCase, rig: WorkerRig
    ) -> None:
        await case.vanish()
        status = await rig.run(self.command(case))
        assert kind_of(status) == "transient", status

    async def test_answer_that_does_not_come_leaves_the_outcome_open(
        self, case: ConnectorCase, rig: WorkerRig
    ) -> None:
        await case.hang()
        status = await rig.run(self.command(case, timeout_seconds=SHORT_SECONDS))
        assert kind_of(status) == unknown_of(case), status
        assert await case.count_effects() <= 1

    async def test_crash_between_claim_and_outcome_is_never_repeated(
        self, case: ConnectorCase, rig: WorkerRig, tmp_path: Path
    ) -> None:
        await case.hang()
        command = self.command(case)
        rig.deliver(command)
        await self.until_in_call(case, rig)
        await rig.kill()
        before = await case.count_effects()
        async with WorkerRig(case.connector, tmp_path, store=rig.store) as heir:
            if case.connector.repeatable:
                return
            status = await heir.run(command)
        assert isinstance(status, NodeUnconfirmed), status
        assert await case.count_effects() == before

    async def test_shutdown_ends_a_call_that_hangs(
        self, case: ConnectorCase, rig: WorkerRig
    ) -> None:
        await case.hang()
        rig.deliver(self.command(case))
        await self.until_in_call(case, rig)
        async with asyncio.timeout(WAIT_SECONDS):
            await rig.stop(seconds=0.1)
        if not case.connector.repeatable:
            (status,) = rig.statuses
            assert isinstance(status, NodeUnconfirmed), status

    async def test_secrets_are_in_no_log_line_and_no_status(
        self, case: ConnectorCase, rig: WorkerRig, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        with structlog.testing.capture_logs() as lines:
            await rig.run(self.command(case))
            await rig.run(self.command(case, config=case.bad_config))
            for fault in case.faults.values():
                await fault()
                await rig.run(self.command(case))
        outputs = [status for status in rig.statuses if not isinstance(status, NodeSucceeded)]
        assert lines
        for secret in case.secrets:
            assert secret not in repr(lines)
            assert secret not in caplog.text
            assert secret not in repr(outputs)

    async def test_trace_goes_on_to_the_provider_and_back(
        self, case: ConnectorCase, rig: WorkerRig
    ) -> None:
        command, trace = self.command(case), new_traceparent()
        rig.deliver(command, traceparent=trace)
        await rig.status_of(command)
        assert trace_id_of(rig.headers_of(command)["traceparent"]) == trace_id_of(trace)
        if case.read_traces is not None:
            seen = await case.read_traces()
            assert [trace_id_of(each) for each in seen] == [trace_id_of(trace)]

    async def until_in_call(self, case: ConnectorCase, rig: WorkerRig) -> None:
        """Wait until the provider has the request."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not await self.is_in_call(case, rig):  # noqa: ASYNC110 - a provider tells nobody
                await asyncio.sleep(0.01)

    async def is_in_call(self, case: ConnectorCase, rig: WorkerRig) -> bool:
        """Whether the attempt has been claimed, and the provider's effect is there."""
        if case.effect_when_hanging:
            return await case.count_effects() > 0
        return bool(rig.store.rows)


def kind_of(status: Status) -> str:
    """`success`, `unconfirmed` or the failure's kind."""
    return status.kind if isinstance(status, NodeFailed) else status.status


def unknown_of(case: ConnectorCase) -> FaultKind:
    """What an outcome that nobody knows is called."""
    return "transient" if case.connector.repeatable else "unconfirmed"
