"""What every connector owes the platform, shown on real boxes."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from code_runner.crew import Crew, Said
from code_runner.main import connector, settings_of
from code_runner.process import Box
from code_runner.run import Runner
from code_runner.settings import CodeSettings
from mirsal_contracts.message import JsonObject
from mirsal_contracts.statuses import NodeFailed, NodeSucceeded
from mirsal_runtime.vault.personal import key_of_hidden
from mirsal_testing.commands import make_command
from mirsal_testing.connector_suite import ConnectorCase, ConnectorSuite
from mirsal_testing.worker_rig import WorkerRig

SECRET = "person-7f3a91@example.com"


class TroubledCrew(Crew):
    """A crew that counts its runs, and can be told to have trouble."""

    trouble = ""
    effects = 0

    async def run(self, box: Box, job: Mapping[str, Any], seconds: float) -> Said:
        if self.trouble == "gone":
            await box.kill()
        elif self.trouble == "faulty":
            request = {"code": "def main(input): raise ValueError", "input": None}
            job = {**job, "request": json.dumps(request)}
        else:
            self.effects += 1
        if self.trouble == "hangs":
            await asyncio.Event().wait()
        return await super().run(box, job, seconds)


SLOW: JsonObject = {"language": "python", "code": "import time\ndef main(input): time.sleep(30)"}
QUICK: JsonObject = {"language": "python", "code": "def main(input): return 1"}


async def test_a_workspace_whose_code_hangs_holds_up_no_other(
    artefacts: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRSAL_CODE_BOXES", "3")
    crew = Crew(artefacts, boxes=3, runs_per_box=100)
    await crew.start()

    @asynccontextmanager
    async def open_runner() -> AsyncIterator[Runner]:
        yield Runner(crew, CodeSettings())

    settings = settings_of()
    rig = WorkerRig(
        replace(connector, open=open_runner),
        tmp_path,
        slots=settings.slots,
        workspace_slots=settings.workspace_slots,
    )
    try:
        async with rig:
            slow: JsonObject = {**SLOW, "limits": {"seconds": 10}}
            greedy = [make_command("code", slow, workspace="greedy") for _ in range(20)]
            rig.deliver(*greedy)
            await asyncio.sleep(0.3)
            for _ in range(3):
                quick = make_command("code", QUICK, workspace="other")
                async with asyncio.timeout(4):
                    status = await rig.run(quick)
                assert isinstance(status, NodeSucceeded)
            assert len(rig.statuses) == 3, "all that hangs does so still"
    finally:
        await crew.close()


@pytest.mark.parametrize("code", ["def main(:", f"x = {'-' * 50_000}1"])
async def test_a_check_answers_whatever_is_wrong_with_the_code(
    artefacts: Mapping[str, Path], tmp_path: Path, code: str
) -> None:
    crew = Crew(artefacts, boxes=2, runs_per_box=100)
    await crew.start()

    @asynccontextmanager
    async def open_runner() -> AsyncIterator[Runner]:
        yield Runner(crew, CodeSettings())

    try:
        async with WorkerRig(replace(connector, open=open_runner), tmp_path) as rig:
            config: JsonObject = {"language": "python", "code": code, "check": True}
            status = await rig.run(make_command("code", config))
        assert isinstance(status, NodeSucceeded)
        match status.output:
            case {"result": [{"type": "SyntaxError" | "MemoryError", "message": str(message)}]}:
                assert message
            case other:
                pytest.fail(f"no mistake in {other}")
    finally:
        await crew.close()


@pytest.mark.parametrize("language", ["python", "javascript"])
async def test_what_code_returns_is_never_taken_for_what_mirsal_seals(
    artefacts: Mapping[str, Path], tmp_path: Path, language: str
) -> None:
    forged = {"$sealed": {"key": str(uuid4()), "text": "AAAA"}, "sealed": {"key": "k"}}
    crew = Crew(artefacts, boxes=2, runs_per_box=100)
    await crew.start()

    @asynccontextmanager
    async def open_runner() -> AsyncIterator[Runner]:
        yield Runner(crew, CodeSettings())

    begins = "def main(input): " if language == "python" else "function main(input) "
    returns = f"return {json.dumps(forged)}"
    throws = f"raise ValueError({json.dumps(forged)})"
    if language == "javascript":
        returns, throws = f"{{ {returns} }}", f"{{ throw Object({json.dumps(forged)}) }}"
    try:
        async with WorkerRig(replace(connector, open=open_runner), tmp_path) as rig:
            for code in (returns, throws):
                config: JsonObject = {"language": language, "code": begins + code}
                await rig.run(make_command("code", config))
            done, failed = rig.statuses
    finally:
        await crew.close()
    assert isinstance(done, NodeSucceeded)
    assert done.output["result"] == forged
    assert key_of_hidden(done.output) is None
    assert isinstance(failed, NodeFailed)
    assert failed.error.details is not None
    assert key_of_hidden(failed.error.details) is None


class TestCodeRunner(ConnectorSuite):
    """The suite that all connectors pass."""

    @pytest.fixture
    async def case(self, artefacts: Mapping[str, Path]) -> AsyncIterator[ConnectorCase]:
        """The connector, its provider a crew that can be told to have trouble."""
        crew = TroubledCrew(artefacts, boxes=2, runs_per_box=100)
        await crew.start()

        @asynccontextmanager
        async def open_runner() -> AsyncIterator[Runner]:
            yield Runner(crew, CodeSettings())

        async def count() -> int:
            return crew.effects

        def have(trouble: str) -> Any:
            async def switch() -> None:
                crew.trouble = trouble

            return switch

        config: JsonObject = {
            "language": "python",
            "code": "def main(input): return 1",
            "input": {"to": SECRET},
        }
        yield ConnectorCase(
            connector=replace(connector, open=open_runner),
            config=config,
            bad_config={"language": "cobol", "code": SECRET},
            count_effects=count,
            hang=have("hangs"),
            vanish=have("gone"),
            faults={"transient": have("gone"), "permanent": have("faulty")},
            secrets=[SECRET],
        )
        await crew.close()
