"""The code connector, put together."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mirsal_runtime.connector import Connector
from mirsal_runtime.settings import ConnectorSettings

from code_runner.artefacts import guest_folder, native_files
from code_runner.crew import Crew
from code_runner.params import CodeParams, CodeResult
from code_runner.run import Runner, run_code
from code_runner.settings import CodeSettings

SERVICE = "code-runner"


@asynccontextmanager
async def open_runner() -> AsyncIterator[Runner]:
    """A crew of warm boxes. Raises `GuestsMissing`, `BoxDied` and `WallTooWeak`."""
    settings = CodeSettings()
    crew = Crew(
        native_files(settings.guests_dir or guest_folder()),
        boxes=settings.boxes,
        runs_per_box=settings.runs_per_box,
        do_without=settings.do_without,
    )
    try:
        await crew.start()
        yield Runner(crew, settings)
    finally:
        await crew.close()


def settings_of() -> ConnectorSettings:
    """The runtime's settings, by default with as many slots as the boxes can use soon."""
    settings = ConnectorSettings()
    if "MIRSAL_SLOTS" in os.environ:
        return settings
    return settings.model_copy(update={"slots": 2 * CodeSettings().boxes})


connector: Connector[CodeParams, CodeResult, Runner] = Connector(
    name="code",
    params=CodeParams,
    result=CodeResult,
    open=open_runner,
    send=run_code,
    repeatable=True,
)
