"""What a process that was killed had decided is told all the same: by the one after it."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from mirsal_testing.otlp import OtlpReceiver, Seen
from orchestrator.store.runs import Pool

from services.orchestrator.tests.stage import Stage
from services.orchestrator.tests.test_process import check_books

RUNS = 10


@pytest.fixture
def otlp() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.mark.parametrize("point", ["after_write", "after_send"])
async def test_each_run_shows_its_start_once_though_the_process_dies(
    stage: Stage,
    pool: Pool,
    otlp: OtlpReceiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
) -> None:
    flag = tmp_path / "die"
    flag.touch()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.url)
    monkeypatch.setenv("MIRSAL_STATE_DIR", str(tmp_path / "state"))
    await stage.request(RUNS)
    process = await stage.start(MIRSAL_FAILPOINT=f"{point}@{flag}")
    assert await process.wait() == -signal.SIGKILL, "the fault did not happen"
    await stage.start()
    await check_books(stage, pool, RUNS)

    def all_told(spans: list[Seen]) -> bool:
        ended = [each for each in spans if "mirsal.run_status" in each.attributes]
        return len(ended) == RUNS

    await asyncio.to_thread(otlp.wait_for, all_told)
    starts = [span for span in otlp.spans if span.name == "run.started"]
    assert {span.attributes["mirsal.run_id"] for span in starts} == set(stage.traces)
    assert len({span.span_id for span in starts}) == RUNS, "a start told twice has one id"
    ids = {span.span_id for span in otlp.spans}
    assert {span.parent_id for span in starts} <= ids
