"""The benchmark's short form: all targets work, and no run is lost or doubled. No times here."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 230


@pytest.mark.e2e
@pytest.mark.timeout(SECONDS + 10)
async def test_the_quick_benchmark_finishes_everywhere(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mirsal_testing.bench", "--quick", "--json", str(results)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert process.returncode == 0, output.decode()

    found = json.loads(results.read_text("utf-8"))
    measured = {(each["target"], each["scenario"]): each for each in found["figures"]}
    assert len(measured) == 17
    assert {each["runs"] for each in measured.values()} == {300, 150, 60}
    for language in ("python", "javascript"):
        assert "code-runner" in measured[f"Mirsal, {language} code", "burst"]["processes"]
        assert f"bare boxes, {language} code" in {target for target, _ in measured}
    ours = measured["Mirsal, WhatsApp", "burst"]
    assert {"gateway", "orchestrator", "whatsapp-worker", "kafka"} <= set(ours["processes"])
    assert {"load generator", "whatsapp-simulator"} <= set(ours["beside"])
    assert found["ratios"]
    assert ("Mirsal, WhatsApp, traced", "burst") in measured
    assert [each["what"] for each in found["bars"] if each["what"].startswith("full tracing")]
