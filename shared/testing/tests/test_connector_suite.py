"""The connector suite passes for a sound connector, and fails for each fault that it is there for.

The sound one talks to a provider in memory; the faulty ones are the same with one line wrong.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from mirsal_contracts.nodes.noop import NoopConfig
from mirsal_runtime.attempt import Attempt
from mirsal_runtime.connector import Connector
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    OutcomeUnknown,
    PermanentError,
    RetryableError,
    ThrottledError,
)
from mirsal_testing.connector_suite import ConnectorCase, ConnectorSuite, FaultKind
from mirsal_testing.noop_worker.connector import NoopResult
from mirsal_testing.worker_rig import WorkerRig

REPEATABLE: set[FaultKind] = {"transient", "throttled", "action_required", "permanent"}
SECRET = "token-7f3a"
TOLD: dict[FaultKind, AttemptFailure] = {
    "transient": RetryableError("busy", "m"),
    "throttled": ThrottledError("slow", "m", retry_after=3.0),
    "action_required": ActionRequired("unpaid", "m"),
    "permanent": PermanentError("no", "m"),
    "unconfirmed": OutcomeUnknown("lost", "m"),
}


class Provider:
    """Counts its effects; fails as it is told."""

    def __init__(self) -> None:
        self.effects = 0
        self.fault: AttemptFailure | None = None
        self.hangs = False
        self.gone = False
        self.traces: list[str] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Provider"]:
        yield self

    async def send(self, _params: NoopConfig, attempt: Attempt, _own: "Provider") -> NoopResult:
        if self.gone:
            raise RetryableError("unreachable", "m")
        await attempt.claim()
        return await self.write(attempt)

    async def write(self, attempt: Attempt) -> NoopResult:
        if self.fault is not None:
            raise self.fault
        self.effects += 1
        self.traces.append(attempt.traceparent)
        if self.hangs:
            await asyncio.Event().wait()
        return NoopResult(value=self.effects)

    def case(self) -> ConnectorCase:
        async def count() -> int:
            return self.effects

        async def hang() -> None:
            self.hangs = True

        async def vanish() -> None:
            self.gone = True

        async def read_traces() -> list[str]:
            return self.traces

        def fail_with(fault: AttemptFailure) -> Callable[[], Awaitable[None]]:
            async def fail() -> None:
                self.fault = fault

            return fail

        return ConnectorCase(
            connector=Connector("noop", NoopConfig, NoopResult, self.open, self.send),
            config={"value": SECRET},
            bad_config={"stranger": SECRET},
            count_effects=count,
            hang=hang,
            vanish=vanish,
            faults={kind: fail_with(fault) for kind, fault in TOLD.items()},
            secrets=[SECRET],
            read_traces=read_traces,
        )


class TestSoundConnector(ConnectorSuite):
    """A connector that does what it should."""

    @pytest.fixture
    def case(self) -> ConnectorCase:
        return Provider().case()


class TestRepeatableConnector(ConnectorSuite):
    """One whose effect may be repeated."""

    @pytest.fixture
    def case(self) -> ConnectorCase:
        case = Provider().case()
        case.faults = {kind: each for kind, each in case.faults.items() if kind in REPEATABLE}
        case.connector = replace(case.connector, repeatable=True)
        return case


Send = Callable[[NoopConfig, Attempt, Any], Awaitable[NoopResult]]


async def claim_after_the_call(_params: NoopConfig, attempt: Attempt, own: Provider) -> NoopResult:
    result = await own.write(attempt)
    await attempt.claim()
    return result


async def never_claim(_params: NoopConfig, attempt: Attempt, own: Provider) -> NoopResult:
    return await own.write(attempt)


async def ignore_the_claim(_params: NoopConfig, attempt: Attempt, own: Provider) -> NoopResult:
    with swallowing():
        await attempt.claim()
    return await own.write(attempt)


async def log_a_secret(params: NoopConfig, attempt: Attempt, own: Provider) -> NoopResult:
    structlog.get_logger().info("sending", what=params.value)
    await attempt.claim()
    return await own.write(attempt)


async def call_everything_permanent(
    _params: NoopConfig, attempt: Attempt, own: Provider
) -> NoopResult:
    await attempt.claim()
    try:
        return await own.write(attempt)
    except AttemptFailure as failure:
        raise PermanentError("no", "m") from failure


async def lose_the_trace(_params: NoopConfig, attempt: Attempt, own: Provider) -> NoopResult:
    await attempt.claim()
    result = await own.write(attempt)
    own.traces[-1] = ""
    return result


@pytest.mark.parametrize(
    ("send", "test"),
    [
        (
            claim_after_the_call,
            ConnectorSuite.test_duplicate_command_has_one_effect_and_one_outcome,
        ),
        (never_claim, ConnectorSuite.test_valid_command_has_one_effect),
        (ignore_the_claim, ConnectorSuite.test_duplicate_command_has_one_effect_and_one_outcome),
        (lose_the_trace, ConnectorSuite.test_trace_goes_on_to_the_provider_and_back),
    ],
)
async def test_suite_finds_a_faulty_connector(
    send: Send, test: Callable[..., Awaitable[None]], tmp_path: Path
) -> None:
    case = Provider().case()
    case.connector = replace(case.connector, send=send)
    async with WorkerRig(case.connector, tmp_path) as rig:
        with pytest.raises(AssertionError):
            await test(ConnectorSuite(), case, rig)


async def test_suite_finds_a_wrong_remedy(tmp_path: Path) -> None:
    case = Provider().case()
    case.connector = replace(case.connector, send=call_everything_permanent)
    async with WorkerRig(case.connector, tmp_path) as rig:
        with pytest.raises(AssertionError):
            await ConnectorSuite().test_fault_says_its_remedy(case, rig, "transient")


async def test_suite_finds_a_logged_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    case = Provider().case()
    case.connector = replace(case.connector, send=log_a_secret)
    async with WorkerRig(case.connector, tmp_path) as rig:
        with pytest.raises(AssertionError):
            await ConnectorSuite().test_secrets_are_in_no_log_line_and_no_status(case, rig, caplog)


@contextmanager
def swallowing() -> Iterator[None]:
    """What no connector should do."""
    try:
        yield
    except Exception:  # noqa: BLE001 - the fault that the suite is to find
        return
