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
# A slot is held somewhat longer than a box: until the status is acknowledged.
SLOTS_PER_BOX = 2


@asynccontextmanager
async def open_runner() -> AsyncIterator[Runner]:
    """A crew of warm boxes. Raises `GuestsMissing`, `BoxDied` and `WallTooWeak`."""
    settings = CodeSettings()
    crew = Crew(
        native_files(settings.guests_dir or guest_folder()),
        boxes=settings.boxes,
        runs_per_box=settings.runs_per_box,
        most_of=settings.boxes_of,
        do_without=settings.do_without,
    )
    try:
        await crew.start()
        yield Runner(crew, settings)
    finally:
        await crew.close()


def settings_of() -> ConnectorSettings:
    """The runtime's settings, by default with as many slots as the boxes can use soon.

    Some of them no workspace can take from the others, as of the boxes: see `Crew`; nor all of
    the window, since slow code would fill it for minutes.
    """
    settings, boxes = ConnectorSettings(), CodeSettings().boxes
    slots = settings.slots if "MIRSAL_SLOTS" in os.environ else SLOTS_PER_BOX * boxes
    most = settings.workspace_slots or max(1, slots - max(1, slots // boxes))
    backlog = settings.workspace_backlog or max(1, settings.window // 2)
    return settings.model_copy(
        update={"slots": slots, "workspace_slots": most, "workspace_backlog": backlog}
    )


connector: Connector[CodeParams, CodeResult, Runner] = Connector(
    name="code",
    params=CodeParams,
    result=CodeResult,
    open=open_runner,
    send=run_code,
    repeatable=True,
)
