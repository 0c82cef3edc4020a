"""`python -m mirsal_testing.bench.code.bare`: the boxes alone, without Kafka and PostgreSQL.

Reads a pace from each line of the standard input, answers with a line of JSON: when each run
was due and when its result was there, in seconds of the wall clock.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Final

import orjson
import structlog
import uvloop
from code_runner.artefacts import guest_folder, native_files
from code_runner.crew import Crew
from code_runner.main import SLOTS_PER_BOX
from code_runner.settings import CodeSettings
from code_runner.verdict import judge

from mirsal_testing.bench.code.workload import LEAD, RUN_SECONDS, Pace, code_in

READY_LINE: Final = b"ready\n"
MEGABYTE: Final = 1024 * 1024


async def carry_out(crew: Crew, pace: Pace) -> list[tuple[float, float]]:
    """Run all; raises `RuntimeError` where one did not end well."""
    code = code_in(pace.language)
    job = {
        "language": pace.language,
        "request": json.dumps({"code": code, "input": LEAD}, ensure_ascii=False),
        "seconds": RUN_SECONDS,
        "memory": 128 * MEGABYTE,
    }
    start = time.time()
    # As many wait for a box as in the service.
    slots = asyncio.Semaphore(SLOTS_PER_BOX * CodeSettings().boxes)

    async def run(number: int) -> tuple[float, float]:
        due = start + pace.due(number)
        await asyncio.sleep(max(0.0, due - time.time()))
        async with slots, crew.place_for("bench") as box:
            said = await crew.run(box, job, RUN_SECONDS)
        verdict = judge(said.answer, said.logs, code)
        if verdict.outcome != "ok":
            raise RuntimeError(f"a run ended as {verdict}")
        return due, time.time()

    return await asyncio.gather(*map(run, range(pace.count)))


async def main() -> None:
    """Serve paces until the standard input ends."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    settings = CodeSettings()
    crew = Crew(
        native_files(settings.guests_dir or guest_folder()),
        boxes=settings.boxes,
        runs_per_box=settings.runs_per_box,
        do_without=settings.do_without,
    )
    try:
        await crew.start()
        sys.stdout.buffer.write(READY_LINE)
        sys.stdout.buffer.flush()
        while line := await asyncio.to_thread(sys.stdin.buffer.readline):
            times = await carry_out(crew, Pace.model_validate_json(line))
            sys.stdout.buffer.write(orjson.dumps(times) + b"\n")
            sys.stdout.buffer.flush()
    finally:
        await crew.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
