"""Code run in boxes as the connector runs it, without Kafka and PostgreSQL: for tests."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from code_runner.crew import Crew
from code_runner.verdict import Verdict, judge

MEGABYTE = 1024 * 1024


class Ran(NamedTuple):
    """A run's verdict, its logs, and whether these were cut."""

    verdict: Verdict
    logs: str
    truncated: bool


class Machine:
    """Runs code in a crew."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew

    async def run(
        self,
        language: str,
        code: str,
        given: Any = None,
        *,
        seconds: float = 5.0,
        workspace: str = "w",
        check: bool = False,
    ) -> Ran:
        """Run the code once. Raises `BoxDied`."""
        request = json.dumps({"code": code, "input": given, "check": check})
        job: dict[str, Any] = {"language": language, "request": request}
        job |= {"seconds": seconds, "memory": 128 * MEGABYTE}
        async with self.crew.place_for(workspace) as box:
            said = await self.crew.run(box, job, seconds)
        return Ran(judge(said.answer, said.logs, code), said.logs, said.logs_truncated)


@asynccontextmanager
async def open_machine(
    artefacts: Mapping[str, Path], *, boxes: int = 3, runs_per_box: int = 5000
) -> AsyncIterator[Machine]:
    """A machine with so many boxes and a spare."""
    crew = Crew(artefacts, boxes=boxes, runs_per_box=runs_per_box)
    try:
        await crew.start()
        yield Machine(crew)
    finally:
        await crew.close()
